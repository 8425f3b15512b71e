import { runCommand } from '../apis/runtime/command.ts';
import { terminationSignal } from '../apis/runtime/lifecycle.ts';
import { createLog } from '../apis/runtime/log.ts';
import { readOptions } from './options.ts';
import { startProxy } from './server.ts';

await runCommand(async () => {
  const options = readOptions(process.argv.slice(2), process.env);
  const log = createLog({ level: options['log-level'], fields: { component: 'proxy' } });
  const proxy = await startProxy(options, log);
  const signal = await terminationSignal();
  log.info('stopping', { signal });
  await proxy.stop();
});
