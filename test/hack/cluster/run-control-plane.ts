// Runs a control plane in the folder that its argument names, leaves a config map in it, says READY, and goes on until
// it is killed or the test that started it is gone.
import { startControlPlane } from '../../../hack/cluster/control-plane.ts';

process.stdin.resume().once('end', () => process.exit());
const report = (line: string): void => {
  console.log(line);
};
const plane = await startControlPlane({
  dir: process.argv[2] ?? '',
  report,
  onExit: ({ name }) => report(`${name} ended`),
});
const { code, stderr } = await plane.kubectl(['create', 'configmap', 'kept', '--from-literal=by=first run']);
report(code === 0 ? 'READY' : stderr);
