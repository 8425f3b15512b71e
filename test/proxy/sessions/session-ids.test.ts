import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { hasReason } from '../../../apis/machinery/errors.ts';
import { accounts, labels, poolApi, sandboxApi, systemNamespace } from '../../../apis/names.ts';
import { createLog } from '../../../apis/runtime/log.ts';
import type { Sandbox } from '../../../apis/v1alpha1/sandbox.ts';
import { sessionUid } from '../../../apis/v1alpha1/uid.ts';
import type { SessionRecord } from '../../../proxy/invocation/session-record.ts';
import { SessionInformer } from '../../../proxy/session-source.ts';
import { SessionIds } from '../../../proxy/sessions/session-ids.ts';
import { useControlPlane, useNamespace } from '../../support/control-plane.ts';
import { until } from '../../support/until.ts';

describe('session ids', () => {
  const plane = useControlPlane();
  const namespace = useNamespace(plane);
  let informer: HeldInformer;
  let ids: SessionIds;
  const asker = { username: 'alice', admits: async () => true };

  beforeEach(() => {
    informer = new HeldInformer({ client: plane.client, log: createLog({ level: 'error' }) });
    ids = new SessionIds(informer);
  });

  afterEach(async () => {
    ids.stop();
    await informer.stop();
  });

  const synced = async () => {
    informer.start();
    await until('the sessions', () => informer.synced);
  };

  const headers = {
    'impersonate-user': `system:serviceaccount:${systemNamespace}:${accounts.apiserver}`,
    'impersonate-group': 'system:masters',
  };
  const collection = () => `${sandboxApi.path}/namespaces/${namespace.name}/${sandboxApi.resource}`;

  /** A Sandbox that waits in a pool and is no session yet, so that its uid is known before there is one. */
  const sandbox = async (name: string) =>
    await plane.client.request<Sandbox>({
      method: 'POST',
      path: collection(),
      body: {
        apiVersion: sandboxApi.groupVersion,
        kind: sandboxApi.kind,
        metadata: { name, labels: { [poolApi.memberLabel]: 'pool' } },
        spec: {
          operatingMode: 'Suspended',
          podTemplate: { spec: { containers: [{ name: 'main', image: 'local/none' }] } },
        },
      },
    });

  const mark = async (name: string) =>
    await plane.client.request({
      method: 'PATCH',
      path: `${collection()}/${name}`,
      contentType: 'application/merge-patch+json',
      headers,
      body: { metadata: { labels: { [labels.session]: 'true', [poolApi.memberLabel]: null } } },
    });

  it('are waited for, for a moment', async () => {
    await synced();
    const { metadata } = await sandbox('late');
    const id = sessionUid(metadata.uid ?? '');
    informer.hold(id);
    await mark('late');
    await until('the session to come', () => informer.holds);
    const waiting = ids.await(id, asker);
    expect(ids.find(id)).to.equal(undefined);
    informer.release();
    expect((await waiting)?.session.metadata.name).to.equal('late');
    expect(ids.find(id)?.session.metadata.name).to.equal('late');
    await plane.client.request({ method: 'DELETE', path: `${collection()}/late`, headers });
    await until('the session to be forgotten', () => ids.find(id) === undefined);
  });

  it('that nobody has are waited for once, however often they are asked for', async () => {
    await synced();
    const id = randomUUID();
    const answers = await Promise.all([ids.await(id, asker), ids.await(id, asker)]);
    expect(answers).to.deep.equal([undefined, undefined]);
    const next = new Promise((resolve) => setImmediate(resolve, 'waited for'));
    expect(await Promise.race([ids.await(id, asker), next])).to.equal(undefined);
  });

  it('say nothing as long as the sessions are not known', async () => {
    const error: unknown = await ids.await(randomUUID(), asker).catch((thrown: unknown) => thrown);
    expect(hasReason(error, 'ServiceUnavailable')).to.equal(true);
  });

  it('are not looked for without end, and who asks for too many delays nobody else', async () => {
    await synced();
    const flood = Array.from({ length: 1000 }, () => ids.await(randomUUID(), { ...asker, username: 'mallory' }));
    const other = ids.await(randomUUID(), asker);
    const outcomes = await Promise.allSettled(flood);
    const refused = outcomes.filter(
      (outcome) => outcome.status === 'rejected' && hasReason(outcome.reason, 'TooManyRequests'),
    );
    expect(refused).to.have.length(900);
    expect(await other).to.equal(undefined);
    expect(await ids.await(randomUUID(), { ...asker, username: 'mallory' })).to.equal(undefined);
  });

  it('of sessions that are kept from who asks are as absent as any other, and take as long', async () => {
    await synced();
    const { metadata } = await sandbox('hidden');
    await mark('hidden');
    const id = sessionUid(metadata.uid ?? '');
    await until('the session', () => ids.find(id) !== undefined);
    const stranger = { username: 'mallory', admits: async () => false };
    const order: string[] = [];
    const noted = async (what: string, answer: Promise<unknown>) => {
      const found = await answer;
      order.push(found === undefined ? what : 'found');
    };
    await Promise.all([
      noted('kept', ids.await(id, stranger)),
      noted('absent', ids.await(randomUUID(), stranger)),
      noted('admitted', ids.await(id, asker)),
    ]);
    expect(order[0]).to.equal('found');
    expect(order.slice(1)).to.have.members(['kept', 'absent']);
    await plane.client.request({ method: 'DELETE', path: `${collection()}/hidden`, headers });
  });
});

/** Sessions of which one comes when the test says so: whoever waits for it does so for a second only. */
class HeldInformer extends SessionInformer {
  #id: string | undefined;
  #release: (() => void) | undefined;

  /** Keeps back the session of an id. */
  hold(id: string): void {
    this.#id = id;
  }

  /** Whether the one that is kept back has come. */
  get holds(): boolean {
    return this.#release !== undefined;
  }

  release(): void {
    this.#id = undefined;
    this.#release?.();
  }

  override getByUid(uid: string): SessionRecord | undefined {
    return uid === this.#id ? undefined : super.getByUid(uid);
  }

  override onChange(listener: (key: string) => void): () => void {
    return super.onChange((key) => {
      const [namespace = '', name = ''] = key.split('/');
      const isHeld = this.#id !== undefined && this.get(namespace, name)?.session.metadata.uid === this.#id;
      if (isHeld) this.#release = () => listener(key);
      else listener(key);
    });
  }
}
