import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { createLog } from '../../../apis/runtime/log.ts';
import { Guard } from '../../../apiserver/guard.ts';
import { readCredential } from '../../proxy/support/certificates.ts';
import { useCluster } from '../../support/cluster.ts';
import { shared } from '../../support/control-plane.ts';
import { https } from '../../support/http.ts';
import { until } from '../../support/until.ts';
import { DirectPort, statusOf } from './support/direct.ts';

const release = join(import.meta.dirname, '../../../deploy/base');
const sessions = '/apis/sojourn.dev/v1alpha1/namespaces/default/sessions';
const policy = 'validatingadmissionpolicy/sojourn-';
const binding = 'validatingadmissionpolicybinding/sojourn-';

describe('the guards of session data and pools', function () {
  this.timeout(240_000);
  const env = useCluster();
  let guard: Guard;

  before(async () => {
    // With the account's own rights, which must do for it.
    guard = new Guard(env.asAccount('sojourn-apiserver'), createLog({ level: 'error' }));
    guard.start();
    await restored();
  });
  after(() => guard.stop());

  async function restored(): Promise<void> {
    const files = ['session-guard.yaml', 'pool-guard.yaml'].map((file) => join(release, file));
    // An apply would leave what others have added to its lists.
    const replaced = await env.kubectl(['replace', '--force', ...files.flatMap((file) => ['-f', file])]);
    expect(replaced.code, replaced.stderr).to.equal(0);
    await until('the guards to be seen', () => guard.problem() === undefined, { seen: () => guard.problem() });
    await until('sessions to be served', async () => (await env.client.requestRaw({ path: sessions })).status === 200, {
      deadlineMs: 90_000,
    });
  }

  /** Policies and bindings come from watches of their own: what the last change was may be told in between. */
  async function missed(expected: RegExp): Promise<void> {
    await until(`the guard to be missed: ${expected}`, () => expected.test(guard.problem() ?? ''), {
      seen: () => guard.problem(),
    });
  }

  const changes: [string, string[], RegExp][] = [
    [
      'its binding does not deny',
      ['patch', `${binding}session-guard`, ...merge({ validationActions: ['Warn', 'Audit'] })],
      /action Deny/,
    ],
    ['its binding is gone', ['delete', `${binding}pool-guard`], /sojourn-pool-guard must bind/],
    [
      'its binding leaves namespaces out',
      [
        'patch',
        `${binding}pool-guard`,
        ...merge({ matchResources: { namespaceSelector: { matchLabels: { guarded: 'yes' } } } }),
      ],
      /everywhere/,
    ],
    ['its policy is gone', ['delete', `${policy}pool-guard`], /sojourn-pool-guard is missing/],
    ['it fails open', ['patch', `${policy}session-guard`, ...merge({ failurePolicy: 'Ignore' })], /failurePolicy Fail/],
    [
      'it exempts somebody',
      [
        'patch',
        `${policy}session-guard`,
        ...merge({ matchConditions: [{ name: 'not-bob', expression: "request.userInfo.username != 'bob'" }] }),
      ],
      /must match every write/,
    ],
    [
      'it leaves writes out',
      [
        ...['patch', `${policy}session-guard`, '--type=json', '-p'],
        '[{"op":"replace","path":"/spec/matchConstraints/resourceRules/0/operations","value":["CREATE"]}]',
      ],
      /must match every write/,
    ],
    [
      'rules of it are missing',
      ['patch', `${policy}session-guard`, '--type=json', '-p', '[{"op":"remove","path":"/spec/validations/0"}]'],
      /lacks rules/,
    ],
  ];
  for (const [what, args, expected] of changes) {
    it(`do not count when one is not in force: ${what}`, async () => {
      const changed = await env.kubectl(args);
      expect(changed.code, changed.stderr).to.equal(0);
      try {
        await missed(expected);
      } finally {
        await restored();
      }
    });
  }

  it('are what the running API server’s readiness hangs on, the pools’ too', async () => {
    await env.kubectl(['delete', `${binding}pool-guard`]);
    try {
      // Not through kube-apiserver, which has words of its own for a server that is not ready.
      const direct = new DirectPort(env);
      let text = '';
      await until(
        'the API server to notice',
        async () => {
          const answer = await direct.as({ username: 'root', groups: ['system:masters'] }, sessions);
          ({ text } = answer);
          return answer.status === 503 && /sojourn-pool-guard must bind/.test(statusOf(answer).message ?? '');
        },
        { seen: () => text },
      );
      const ready = await fetch(
        `http://127.0.0.1:${env.cluster.sojourn.ports.sojournApiserverOperations}/readyz?verbose`,
      );
      expect(await ready.text()).to.match(/\[-\]guards failed: .*sojourn-pool-guard/);
    } finally {
      await restored();
    }
  });

  it('are done without by --allow-unguarded, loudly', async () => {
    await env.kubectl(['delete', `${binding}session-guard`]);
    const name = 'sojourn-apiserver-unguarded';
    try {
      await missed(/sojourn-session-guard must bind/);
      // Which is ready, or this would fail.
      const replica = await env.cluster.sojourn.startApiserverReplica(name, ['--allow-unguarded']);
      const { cert, key } = await readCredential(env.cluster.plane.pki.frontProxyClient);
      const headers = { 'x-remote-user': 'root', 'x-remote-group': 'system:masters' };
      const url = `https://127.0.0.1:${replica.port}${sessions}`;
      expect((await https({ url, ca: env.ca, cert, key, headers })).status).to.equal(200);
      shared.doomed.add(replica.process.pid);
      await replica.process.stop();
      const log = await readFile(join(env.cluster.plane.dir, 'logs', `${name}.log`), 'utf8');
      expect(log).to.match(/"level":"warn","message":"session data is NOT guarded/);
    } finally {
      await restored();
    }
  });
});

function merge(spec: object): string[] {
  return ['--type=merge', '-p', JSON.stringify({ spec })];
}
