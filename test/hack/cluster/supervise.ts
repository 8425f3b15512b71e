// Starts a process under supervision in the folder that its argument names, prints its pid, and goes on.
import { Supervisor } from '../../../hack/cluster/supervisor.ts';

process.stdin.resume().once('end', () => process.exit());
const supervisor = new Supervisor(process.argv[2] ?? '', () => undefined);
// Two processes in one group, neither of which anybody asks to end.
const { pid } = await supervisor.start({ name: 'shell', file: 'sh', args: ['-c', 'sleep 60 & wait'] });
console.log(pid);
