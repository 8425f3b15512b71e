import { terminationSignal } from '../../apis/runtime/lifecycle.ts';
import { streamReporter } from '../kube/progress.ts';
import { runScale } from './run.ts';

const reporter = streamReporter(process.stdout);
const interrupted = new AbortController();
void terminationSignal().then(() => interrupted.abort());

const sessions = Number(process.argv[2] ?? 5000);
if (!Number.isSafeInteger(sessions) || sessions < 1) {
  process.stderr.write('usage: npm run scale [-- SESSIONS]\n');
  process.exit(2);
}
try {
  await runScale({ ...reporter, sessions, signal: interrupted.signal });
} catch (error) {
  if (!interrupted.signal.aborted) throw error;
  reporter.report('Stopped; nothing was left running.');
  process.exitCode = 130;
}
