import { streamReporter } from '../kube/progress.ts';
import { SetupError } from '../kube/setup-error.ts';
import { withDemoCluster } from './demo-cluster.ts';
import { Shell, StepFailed } from './shell.ts';
import { tellStory } from './story.ts';

const reporter = streamReporter(process.stdout);
try {
  await withDemoCluster(reporter, async (dir) => {
    await tellStory(new Shell(dir, reporter.report));
  });
  reporter.report('\nAll of it held.');
} catch (error) {
  if (!(error instanceof StepFailed) && !(error instanceof SetupError)) throw error;
  process.stderr.write(`\n${error.message}\n`);
  process.exitCode = 1;
}
