import { terminationSignal } from '../../apis/runtime/lifecycle.ts';
import { streamReporter } from '../kube/progress.ts';
import { runFaults } from './run.ts';

const reporter = streamReporter(process.stdout);
const interrupted = new AbortController();
void terminationSignal().then(() => interrupted.abort());

const faults = Number(process.argv[2] ?? 200);
if (!Number.isSafeInteger(faults) || faults < 1) {
  process.stderr.write('usage: npm run faults [-- COUNT]\n');
  process.exit(2);
}
try {
  const broken = await runFaults({ ...reporter, faults, signal: interrupted.signal });
  for (const sentence of broken) reporter.report(`BROKEN: ${sentence}`);
  if (broken.length === 0) reporter.report(`After ${faults} faults every promise was kept.`);
  process.exitCode = broken.length === 0 ? 0 : 1;
} catch (error) {
  if (!interrupted.signal.aborted) throw error;
  reporter.report('Stopped; nothing was left running.');
  process.exitCode = 130;
}
