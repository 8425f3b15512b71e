import { terminationSignal } from '../../apis/runtime/lifecycle.ts';
import { streamReporter } from '../kube/progress.ts';
import { SetupError } from '../kube/setup-error.ts';
import { bench } from './run.ts';

const reporter = streamReporter(process.stderr);
const interrupted = new AbortController();
void terminationSignal().then(() => interrupted.abort());

try {
  process.exitCode = await bench({
    ...reporter,
    patterns: process.argv.slice(2),
    print: (text) => process.stdout.write(`${text}\n`),
    signal: interrupted.signal,
  });
} catch (error) {
  if (interrupted.signal.aborted) {
    reporter.report('Stopped; nothing was left running.');
    process.exitCode = 130;
  } else if (error instanceof SetupError) {
    reporter.report(error.message);
    process.exitCode = 1;
  } else if (error instanceof DOMException && error.name === 'TimeoutError') {
    reporter.report('Stopped because it took too long on this machine; name some of the benchmarks to run fewer.');
    process.exitCode = 1;
  } else {
    throw error;
  }
}
