import { runCommand } from '../apis/runtime/command.ts';
import { terminationSignal } from '../apis/runtime/lifecycle.ts';
import { createLog } from '../apis/runtime/log.ts';
import { readOptions } from './options.ts';
import { startApiserver } from './server.ts';

await runCommand(async () => {
  const options = readOptions(process.argv.slice(2), process.env);
  const log = createLog({ level: options['log-level'], fields: { component: 'apiserver' } });
  const server = await startApiserver(options, log);
  const signal = await terminationSignal();
  log.info('stopping', { signal });
  await server.stop();
});
