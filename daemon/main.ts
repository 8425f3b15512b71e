import { runCommand } from '../apis/runtime/command.ts';
import { terminationSignal } from '../apis/runtime/lifecycle.ts';
import { createLog } from '../apis/runtime/log.ts';
import { readOptions } from './options.ts';
import { createDaemon } from './server.ts';

await runCommand(async () => {
  const options = readOptions(process.argv.slice(2), process.env);
  const log = createLog({ level: options.logLevel, fields: { component: 'daemon' } });
  const terminated = terminationSignal();
  const daemon = await createDaemon(options, { log, environment: process.env });
  const { address, port } = await daemon.listen();
  log.info('serving', {
    address,
    port,
    workspace: options.workspace,
    sandbox: `${options.namespace}/${options.sandbox}`,
  });
  log.info('stopping', { signal: await terminated });
  await daemon.stop();
});
