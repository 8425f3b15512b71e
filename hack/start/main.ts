import { terminationSignal } from '../../apis/runtime/lifecycle.ts';
import { streamReporter } from '../kube/progress.ts';
import { SetupError } from '../kube/setup-error.ts';
import { start } from './start.ts';

const reporter = streamReporter(process.stdout);
const { report } = reporter;
const interrupted = new AbortController();
const signal = terminationSignal();
void signal.then(() => interrupted.abort());

try {
  const cluster = await start({ ...reporter, signal: interrupted.signal });
  await signal;
  report('\nStopping. A second Ctrl-C ends this at once.');
  await cluster.stop();
  report('Stopped. Your sessions are kept; npm start brings them back.');
  process.exitCode = 0;
} catch (error) {
  if (interrupted.signal.aborted) {
    report('Stopped before everything was up; nothing was left running.');
    process.exitCode = 130;
  } else if (error instanceof SetupError) {
    process.stderr.write(`\n${error.message}\n`);
    process.exitCode = 1;
  } else {
    throw error;
  }
}
