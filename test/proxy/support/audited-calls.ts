import { setImmediate as turn } from 'node:timers/promises';
import { Registry } from 'prom-client';
import { createLog } from '../../../apis/runtime/log.ts';
import { openAudit } from '../../../proxy/invocation/audit.ts';

/** A program that writes audit lines to its standard output, between lines of its log, and says on standard error when it has. */
const log = createLog();
const audit = openAudit({ path: '-', registry: new Registry(), log });
const calls = Number(process.argv[2]);
for (let i = 0; i < calls; i += 1) {
  audit.write({
    ...{ route: 'native', verb: 'get', requestUri: `/${i}`, sourceAddress: '127.0.0.1', auditId: undefined },
    ...{ user: { username: 'u' }, namespace: 'n', name: 's', sessionUid: undefined, code: 200 },
    ...{ outcome: 'answered', traffic: { received: 0, sent: 0, total: 0 }, begunAt: 0, durationMs: 1 },
  });
  if (i % 100 === 0) {
    log.info('one hundred more');
    await turn();
  }
}
process.stderr.write('written\n');
await audit.stop();
