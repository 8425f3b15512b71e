import { expect } from 'chai';
import type { KubeObject, Status } from '../../apis/machinery/meta.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import type { SessionList } from '../support/caller.ts';
import { useCluster } from '../support/cluster.ts';
import { until } from '../support/until.ts';

function manifest(change: object = {}): object {
  return {
    apiVersion: 'sojourn.dev/v1alpha1',
    kind: 'Session',
    metadata: { generateName: 'none-' },
    spec: { runtimeRef: { kind: 'CodeInterpreter', name: 'none' } },
    ...change,
  };
}

describe('sessions through kube-apiserver', () => {
  const env = useCluster();
  const space = env.namespace('sessions');
  const path = () => `/apis/sojourn.dev/v1alpha1/namespaces/${space.name}/sessions`;
  const sandboxPath = (name: string) => `/apis/agents.x-k8s.io/v1beta1/namespaces/${space.name}/sandboxes/${name}`;
  const post = (body: object, query: Record<string, string> = {}) =>
    env.client.requestRaw({ method: 'POST', path: path(), query, body });
  const status = (answer: { body: Buffer }) => JSON.parse(answer.body.toString('utf8')) as Status;

  it('are created, become ready, are shown and deleted with their Sandbox and Pod', async () => {
    const created = await env.client.request<Session>({
      method: 'POST',
      path: path(),
      body: manifest({ metadata: { name: 'a', labels: { app: 'x' } } }),
    });
    expect(created.spec).to.deep.equal({
      runtimeRef: { kind: 'CodeInterpreter', name: 'none' },
      idleTimeout: '15m',
      maxDuration: '8h',
      idleAction: 'Delete',
      suspended: false,
    });
    const ready = await env.kubectl(['wait', '-n', space.name, '--for=condition=Ready', 'session/a', '--timeout=30s']);
    expect(ready.code, ready.stderr).to.equal(0);
    const session = await env.client.request<Session>({ path: `${path()}/a` });
    expect(session.status).to.include({ phase: 'Ready', start: 'Cold', nodeName: 'sojourn-local' });
    expect(session.status?.user?.username).to.equal('admin');
    expect(
      Date.parse(session.status?.expirationTime ?? '') - Date.parse(session.metadata.creationTimestamp ?? ''),
    ).to.equal((15 * 60 + 225) * 1000);
    const sandbox = await env.client.request<KubeObject & { spec: { shutdownPolicy: string } }>({
      path: sandboxPath('a'),
    });
    expect(sandbox.spec.shutdownPolicy).to.equal('Delete');
    expect(sandbox.metadata.labels).to.include({ 'sojourn.dev/session': 'true', 'u.sojourn.dev/app': 'x' });
    const deletion = await env.client.request<Status>({
      method: 'DELETE',
      path: `${path()}/a`,
      body: { propagationPolicy: 'Background' },
    });
    expect(deletion).to.deep.include({ status: 'Success' });
    expect(deletion.details).to.deep.equal({
      name: 'a',
      group: 'sojourn.dev',
      kind: 'sessions',
      uid: session.metadata.uid,
    });
    const gone = await env.client.requestRaw({ path: `${path()}/a` });
    expect([gone.status, status(gone).message]).to.deep.equal([404, 'sessions.sojourn.dev "a" not found']);
    // The garbage collector learns of a resource within half a minute, and tries again with growing pauses.
    await until(
      'the Pod of the deleted session to go',
      async () => {
        const pod = await env.client.requestRaw({ path: `/api/v1/namespaces/${space.name}/pods/a` });
        return pod.status === 404;
      },
      { deadlineMs: 90_000 },
    );
  }).timeout(150_000);

  it('are listed with selectors, in pages, across namespaces and from the cache alike', async () => {
    for (const [name, app] of [
      ['l1', 'x'],
      ['l2', 'y'],
      ['l3', 'x'],
    ] as const) {
      await env.client.request({
        method: 'POST',
        path: path(),
        body: manifest({ metadata: { name, labels: { app, 'x.io/list': 'yes' } } }),
      });
    }
    const names = async (query: Record<string, string>, at = path()) => {
      const list = await env.client.request<SessionList>({
        path: at,
        query: { labelSelector: 'x.io/list=yes', ...query },
      });
      return list.items.map(({ metadata }) => metadata.name);
    };
    expect(await names({})).to.deep.equal(['l1', 'l2', 'l3']);
    expect(await names({ labelSelector: 'app in (x),x.io/list' })).to.deep.equal(['l1', 'l3']);
    expect(await names({ fieldSelector: 'metadata.name=l2' })).to.deep.equal(['l2']);
    expect(await names({ fieldSelector: 'spec.runtimeRef.name!=none' })).to.deep.equal([]);
    expect(await names({}, '/apis/sojourn.dev/v1alpha1/sessions')).to.deep.equal(['l1', 'l2', 'l3']);
    await until('the cache to have them', async () => (await names({ resourceVersion: '0' })).length === 3);
    const first = await env.client.request<SessionList>({
      path: path(),
      query: { limit: '2', labelSelector: 'x.io/list' },
    });
    const second = await env.client.request<SessionList>({
      path: path(),
      query: { limit: '2', labelSelector: 'x.io/list', continue: first.metadata.continue ?? '' },
    });
    expect([first.items.length, second.items.length, second.metadata.continue ?? '']).to.deep.equal([2, 1, '']);
    expect(second.metadata.resourceVersion).to.equal(first.metadata.resourceVersion);
    const unknown = await env.client.requestRaw({ path: path(), query: { fieldSelector: 'spec.foo=1' } });
    expect(unknown.status).to.equal(400);
  });

  it('print as a table with the documented columns', async () => {
    await post(manifest({ metadata: { name: 't1' } }));
    const plain = await env.kubectl(['get', 'sess', 't1', '-n', space.name]);
    expect(plain.stdout.split('\n')[0]).to.match(/^NAME +RUNTIME +PHASE +IDLE +EXPIRES +AGE *$/);
    const wide = await env.kubectl(['get', 'sessions', 't1', '-n', space.name, '-o', 'wide']);
    expect(wide.stdout).to.match(
      /USER +START +NODE +ADDRESS *\nt1 +none +(Pending|Ready) +\d+s +18m +\d+s +admin +Cold/,
    );
  });

  describe('answer wrong input with the right code and a sentence that helps', () => {
    const cases: [string, object, number, string, RegExp, Record<string, string>?][] = [
      [
        'an unknown runtime',
        manifest({ spec: { runtimeRef: { kind: 'CodeInterpreter', name: 'nosuch' } } }),
        404,
        'NotFound',
        /"nosuch" not found.*apply the CodeInterpreter/,
      ],
      [
        'a bad name',
        manifest({ metadata: { name: 'Bad_Name' } }),
        422,
        'Invalid',
        /metadata\.name: Invalid value: "Bad_Name": a lowercase RFC 1123 label/,
      ],
      [
        'no name at all',
        manifest({ metadata: {} }),
        422,
        'Invalid',
        /metadata\.name: Required value: name or generateName is required/,
      ],
      ['no runtime', manifest({ spec: {} }), 422, 'Invalid', /spec\.runtimeRef: Required value/],
      [
        'a kind that is no runtime',
        manifest({ spec: { runtimeRef: { kind: 'Pod', name: 'x' } } }),
        422,
        'Invalid',
        /Unsupported value: "Pod": supported values: "AgentRuntime", "CodeInterpreter"/,
      ],
      [
        'a field of the wrong type',
        manifest({ spec: { runtimeRef: { kind: 'CodeInterpreter', name: 'none' }, suspended: 'yes' } }),
        422,
        'Invalid',
        /spec\.suspended in body must be of type boolean/,
      ],
      [
        'a duration that is none',
        manifest({ spec: { runtimeRef: { kind: 'CodeInterpreter', name: 'none' }, idleTimeout: 'soon' } }),
        422,
        'Invalid',
        /spec\.idleTimeout: Invalid value: "[^"]*": must be a duration such as 30s or 15m/,
      ],
      [
        'more time than the runtime gives',
        manifest({ spec: { runtimeRef: { kind: 'CodeInterpreter', name: 'none' }, maxDuration: '9h' } }),
        422,
        'Invalid',
        /must not be more than the runtime's maxSessionDuration \(8h\)/,
      ],
      [
        'an unknown field under Strict',
        manifest({ spec: { runtimeRef: { kind: 'CodeInterpreter', name: 'none' }, foo: 1 } }),
        400,
        'BadRequest',
        /strict decoding error: unknown field "spec\.foo"/,
        { fieldValidation: 'Strict' },
      ],
      [
        'another namespace in the body',
        manifest({ metadata: { name: 'x', namespace: 'other' } }),
        400,
        'BadRequest',
        /namespace of the provided object does not match/,
      ],
      ['another kind', manifest({ kind: 'Pod' }), 422, 'Invalid', /kind: Invalid value: "Pod": must be Session/],
      [
        'data beyond the limit',
        manifest({ metadata: { name: 'x', annotations: { big: 'x'.repeat(17_000) } } }),
        422,
        'Invalid',
        /may hold 16384 bytes in all/,
      ],
      [
        'an owner that is a pool',
        manifest({
          metadata: {
            name: 'x',
            ownerReferences: [
              { apiVersion: 'extensions.agents.x-k8s.io/v1beta1', kind: 'SandboxWarmPool', name: 'p', uid: 'u' },
            ],
          },
        }),
        422,
        'Invalid',
        /cannot be owned by a pool/,
      ],
    ];
    for (const [what, body, code, reason, sentence, query] of cases) {
      it(what, async () => {
        const answer = await post(body, query);
        expect(status(answer)).to.include({ kind: 'Status', code, reason });
        expect(status(answer).message).to.match(sentence);
        expect(answer.status).to.equal(code);
      });
    }

    it('a body of more than 3 MiB', async () => {
      const answer = await post(
        manifest({ metadata: { name: 'x', annotations: { big: 'x'.repeat(3 * 1024 * 1024) } } }),
      );
      expect([answer.status, status(answer).message]).to.deep.equal([
        413,
        'Request entity too large: limit is 3145728',
      ]);
    });

    it('a content type that is no JSON, and an Accept that is none', async () => {
      const cbor = await env.client.requestRaw({
        method: 'POST',
        path: path(),
        contentType: 'application/cbor',
        body: {},
      });
      expect(cbor.status).to.equal(415);
      const protobuf = await env.client.requestRaw({ path: path(), accept: 'application/vnd.kubernetes.protobuf' });
      expect(protobuf.status).to.equal(406);
    });

    it('a create below the path of another one', async () => {
      const answer = await env.client.requestRaw({
        method: 'POST',
        path: `${path()}/x`,
        body: manifest({ metadata: { name: 'y' } }),
      });
      expect(status(answer)).to.include({ code: 400, reason: 'BadRequest' });
    });
  });

  it('warn of unknown fields and drop them when validation is not strict', async () => {
    const answer = await post(manifest({ metadata: { name: 'w1', foo: 1 } }), { fieldValidation: 'Warn' });
    expect(answer.status).to.equal(201);
    expect(String(answer.headers.warning)).to.contain('unknown field \\"metadata.foo\\"');
  });

  it('keep their names to themselves: 409 for a second one and for a Sandbox that is no session', async () => {
    expect((await post(manifest({ metadata: { name: 'c1' } }))).status).to.equal(201);
    const second = await post(manifest({ metadata: { name: 'c1' } }));
    expect(status(second)).to.include({
      code: 409,
      reason: 'AlreadyExists',
      message: 'sessions.sojourn.dev "c1" already exists',
    });
    const sandbox = { apiVersion: 'agents.x-k8s.io/v1beta1', kind: 'Sandbox', metadata: { name: 'foreign' } };
    const spec = { podTemplate: { spec: { containers: [{ name: 'a', image: 'local/none' }] } } };
    await env.client.request({ method: 'POST', path: sandboxPath('').replace(/\/$/, ''), body: { ...sandbox, spec } });
    const foreign = await post(manifest({ metadata: { name: 'foreign' } }));
    expect(status(foreign).message).to.contain('a Sandbox of that name exists that is no session');
    const read = await env.client.requestRaw({ path: `${path()}/foreign` });
    expect(read.status).to.equal(404);
    const deleted = await env.client.requestRaw({ method: 'DELETE', path: `${path()}/foreign` });
    expect(deleted.status).to.equal(404);
    expect((await env.client.requestRaw({ path: sandboxPath('foreign') })).status).to.equal(200);
  });

  it('are only tried under dryRun', async () => {
    const tried = await post(manifest({ metadata: { name: 'd1' } }), { dryRun: 'All' });
    expect(tried.status).to.equal(201);
    expect((await env.client.requestRaw({ path: `${path()}/d1` })).status).to.equal(404);
    await post(manifest({ metadata: { name: 'd2' } }));
    await env.client.request({ method: 'DELETE', path: `${path()}/d2`, body: { dryRun: ['All'] } });
    expect((await env.client.requestRaw({ path: `${path()}/d2` })).status).to.equal(200);
  });

  it('are deleted only by who means this one', async () => {
    const created = await env.client.request<Session>({
      method: 'POST',
      path: path(),
      body: manifest({ metadata: { name: 'p1' } }),
    });
    const wrong = await env.client.requestRaw({
      method: 'DELETE',
      path: `${path()}/p1`,
      body: { preconditions: { uid: 'other' } },
    });
    expect(status(wrong)).to.include({ code: 409, reason: 'Conflict' });
    expect(status(wrong).message).to.contain('The object might have been deleted and then recreated');
    const right = await env.client.requestRaw({
      method: 'DELETE',
      path: `${path()}/p1`,
      body: { preconditions: { uid: created.metadata.uid } },
    });
    expect(right.status).to.equal(200);
  });

  it('of a Sandbox whose document somebody broke are Failed, readable and deletable', async () => {
    await post(manifest({ metadata: { name: 'broken' } }));
    const body = { metadata: { annotations: { 'sojourn.dev/session': '{"format":1' } } };
    await env
      .asAccount('sojourn-apiserver')
      .request({ method: 'PATCH', path: sandboxPath('broken'), contentType: 'application/merge-patch+json', body });
    const session = await env.client.request<Session>({ path: `${path()}/broken` });
    expect(session.status?.phase).to.equal('Failed');
    expect(session.status?.conditions?.find(({ type }) => type === 'DataInvalid')?.message).to.contain('is not JSON');
    const table = await env.kubectl(['get', 'session', 'broken', '-n', space.name]);
    expect(table.stdout).to.match(/broken +<none> +Failed/);
    expect((await env.client.requestRaw({ method: 'DELETE', path: `${path()}/broken` })).status).to.equal(200);
  });

  it('go with their namespace', async () => {
    const doomed = env.createNamespace('doomed');
    const { name } = await doomed;
    await env.client.request({
      method: 'POST',
      path: `/apis/sojourn.dev/v1alpha1/namespaces/${name}/sessions`,
      body: manifest({ metadata: { name: 'a', namespace: name } }),
    });
    const deleted = await env.kubectl(['delete', 'namespace', name, '--timeout=150s']);
    expect(deleted.code, deleted.stderr).to.equal(0);
  }).timeout(200_000);
});
