import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { Registry } from 'prom-client';
import { KubeClient } from '../../../apis/client/transport.ts';
import { ApiError } from '../../../apis/machinery/errors.ts';
import { annotations } from '../../../apis/names.ts';
import { createLog } from '../../../apis/runtime/log.ts';
import { newSandbox } from '../../../apis/v1alpha1/new-sandbox.ts';
import type { Sandbox } from '../../../apis/v1alpha1/sandbox.ts';
import type { SandboxSource } from '../../../proxy/invocation/sandbox-source.ts';
import { toSessionRecord } from '../../../proxy/invocation/session-record.ts';
import { failurePauseMs } from '../../../proxy/invocation/suspension/refusals.ts';
import { Suspension } from '../../../proxy/invocation/suspension/suspension.ts';

/** A session that was suspended for being idle, as kube-apiserver has it. */
function idleSandbox(name: string): Sandbox {
  const sandbox = newSandbox(
    {
      metadata: { name, namespace: 'many' },
      spec: {
        runtimeRef: { kind: 'CodeInterpreter', name: 'py' },
        ...{ idleTimeout: '10m0s', maxDuration: '1h0m0s', idleAction: 'Suspend', suspended: false },
      },
      runtime: {
        ...{ kind: 'CodeInterpreter', name: 'py', namespace: 'many', uid: 'u', generation: 1, authMode: 'none' },
        ...{ limits: { idleTimeout: '10m0s', maxDuration: '1h0m0s' }, endpoints: [] },
        podTemplate: { spec: { containers: [{ name: 'main', image: 'local/none' }] } },
      },
      user: { username: 'alice' },
      now: Date.now(),
    },
    { rootKey: '', picodKey: '' },
  );
  const { metadata, spec } = sandbox;
  return {
    ...sandbox,
    metadata: {
      ...{ ...metadata, uid: `uid-${name}`, resourceVersion: '10', generation: 2 },
      annotations: { ...metadata.annotations, [annotations.idleSuspended]: new Date().toISOString() },
    },
    spec: { ...spec, operatingMode: 'Suspended' },
  };
}

describe('calls to very many suspended sessions at once', () => {
  let server: Server;
  let client: KubeClient;
  let atOnce = 0;
  let most = 0;
  let writes = 0;

  before(async () => {
    server = createServer((request, response) => {
      atOnce += 1;
      writes += 1;
      most = Math.max(most, atOnce);
      const name = request.url?.split('/').at(-1)?.split('?')[0] ?? '';
      const sandbox = idleSandbox(name);
      delete sandbox.metadata.annotations?.[annotations.idleSuspended];
      request.resume();
      void delay(5).then(() => {
        atOnce -= 1;
        response
          .writeHead(200)
          .end(JSON.stringify({ ...sandbox, metadata: { ...sandbox.metadata, resourceVersion: '11' } }));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    client = new KubeClient({ server: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  });
  after(async () => {
    await client.close();
    server.close();
  });

  it('wake each of them by one write, a bounded number at a time', async () => {
    const records = new Map(
      Array.from({ length: 100 }, (_, index) => [`s-${index}`, toSessionRecord(idleSandbox(`s-${index}`))]),
    );
    const sandboxes: SandboxSource = {
      synced: true,
      get: (_namespace, name) => records.get(name),
      onChange: () => () => undefined,
    };
    const suspension = new Suspension({
      ...{ client, sandboxes, isInUse: () => false, onWritten: () => undefined },
      ...{ registry: new Registry(), log: createLog({ write: () => undefined }), now: Date.now },
    });
    // Two calls for each session.
    await Promise.all([...records.values(), ...records.values()].map(async (record) => await suspension.wake(record)));
    suspension.stop();
    expect(writes).to.equal(100);
    expect(most).to.be.within(2, 16);
  });
});

describe('a suspension that is refused', () => {
  const pauses = (error: ApiError, first = 5_000) =>
    Array.from({ length: 12 }, (_, failures) => failurePauseMs(error, failures, first));

  it('for good is tried less and less often, at last every five minutes', () => {
    for (const reason of ['Forbidden', 'Invalid'] as const) {
      const [first, second, ...later] = pauses(new ApiError(reason, 'a policy says no'));
      expect([first, second, later.at(-1)]).to.deep.equal([5_000, 10_000, 300_000]);
    }
  });

  it('because kube-apiserver is away is tried at an even pace', () => {
    for (const reason of ['ServiceUnavailable', 'TooManyRequests', 'InternalError', 'Timeout'] as const) {
      expect(new Set(pauses(new ApiError(reason, 'try again')))).to.deep.equal(new Set([5_000]));
    }
  });
});
