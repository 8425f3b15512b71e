import { expect } from 'chai';
import { useCluster } from '../support/cluster.ts';
import { jsonPatch, SessionClient, statusIn } from './support/session-client.ts';

describe('changes of sessions that are refused', () => {
  const env = useCluster();
  const space = env.namespace('refusals');
  const sessions = new SessionClient(env, () => space.name);
  const spec = (change: object) => ({ spec: change });
  const cases: [string, object, number, RegExp, Record<string, string>?][] = [
    [
      'another runtime',
      spec({ runtimeRef: { name: 'py' } }),
      422,
      /spec\.runtimeRef: Invalid value: field is immutable/,
    ],
    ['another uid', { metadata: { uid: 'x' } }, 422, /metadata\.uid: Invalid value: "x": field is immutable/],
    [
      'another name',
      { metadata: { name: 'x' } },
      400,
      /the name of the object \(x\) does not match the name on the URL/,
    ],
    ['another namespace', { metadata: { namespace: 'x' } }, 400, /the namespace of the provided object does not match/],
    [
      'a limit above the runtime’s',
      spec({ maxDuration: '9h' }),
      422,
      /must not be more than the runtime's maxSessionDuration \(8h\)/,
    ],
    [
      'an idleTimeout above maxDuration',
      spec({ maxDuration: '10m' }),
      422,
      /spec\.idleTimeout: Invalid value: must not be more than maxDuration/,
    ],
    ['a wrong type', spec({ suspended: 'yes' }), 422, /spec\.suspended.*must be of type boolean/],
    ['a bad label', { metadata: { labels: { 'a b': 'c' } } }, 422, /metadata\.labels: Invalid value: "a b"/],
    [
      'a pool as owner',
      {
        metadata: {
          ownerReferences: [
            { apiVersion: 'extensions.agents.x-k8s.io/v1beta1', kind: 'SandboxWarmPool', name: 'p', uid: 'u' },
          ],
        },
      },
      422,
      /cannot be owned by a pool/,
    ],
    [
      'how a finalizer is stored',
      { metadata: { finalizers: ['sojourn.dev/orphan'] } },
      422,
      /is how another finalizer is stored/,
    ],
    ['more than 16 KiB', { metadata: { annotations: { a: 'x'.repeat(17_000) } } }, 422, /Too long/],
    [
      'an unknown field under Strict',
      spec({ foo: 1 }),
      422,
      /patch: Invalid value: .*strict decoding error: unknown field "spec\.foo"/,
      { fieldValidation: 'Strict' },
    ],
    ['a wrong dryRun', spec({}), 422, /PatchOptions.*dryRun.*Unsupported value/, { dryRun: 'Some' }],
  ];
  before(() => sessions.create('refusing'));
  for (const [what, body, code, sentence, query] of cases) {
    it(`${what}: ${code}`, async () => {
      const answer = await sessions.patch('refusing', body, { query });
      expect(statusIn(answer).message).to.match(sentence);
      expect(answer.status).to.equal(code);
    });
  }

  it('a patch that is none', async () => {
    const notAList = await sessions.patch('refusing', { op: 'add' }, { type: jsonPatch });
    expect(notAList.status).to.equal(400);
    const missing = await sessions.patch('refusing', [{ op: 'remove', path: '/spec/nothing' }], { type: jsonPatch });
    expect(statusIn(missing)).to.include({ code: 422, reason: 'Invalid' });
    const hostile = await sessions.patch('refusing', [{ op: 'add', path: '/__proto__/x', value: 1 }], {
      type: jsonPatch,
    });
    expect(hostile.status).to.equal(422);
  });

  it('an unknown field is warned of otherwise', async () => {
    const answer = await sessions.patch('refusing', { spec: { foo: 1 } });
    expect([answer.status, String(answer.headers.warning)]).to.deep.equal([
      200,
      '299 - "unknown field \\"spec.foo\\""',
    ]);
  });

  it('a session that is not there', async () => {
    expect(statusIn(await sessions.patch('absent', {})).message).to.equal('sessions.sojourn.dev "absent" not found');
    const absent = { apiVersion: 'sojourn.dev/v1alpha1', kind: 'Session', metadata: { name: 'absent' } };
    expect((await sessions.put('absent', absent)).status).to.equal(404);
  });
});
