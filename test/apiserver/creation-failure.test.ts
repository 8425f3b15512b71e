import { expect } from 'chai';
import { KubeClient, type KubeRequest } from '../../apis/client/transport.ts';
import { ApiError } from '../../apis/machinery/errors.ts';
import { createLog } from '../../apis/runtime/log.ts';
import { PoolMembers } from '../../apiserver/pools/members.ts';
import { Namespaces } from '../../apiserver/pools/namespaces.ts';
import { PoolIndex } from '../../apiserver/pools/pool-index.ts';
import { WarmStarts } from '../../apiserver/pools/warm-starts.ts';
import { QuotaCharges } from '../../apiserver/quota/quota-charges.ts';
import { QuotaIndex } from '../../apiserver/quota/quota-index.ts';
import { SessionCreation } from '../../apiserver/sessions/creation.ts';
import { anchors, runtime, spec } from '../apis/v1alpha1/samples.ts';

/** Says that every name is taken, and fails to tell by whom. */
class Failing extends KubeClient {
  readonly #failure: Error;

  constructor(failure: Error) {
    super({ server: 'https://localhost' }, { userAgent: 'test' });
    this.#failure = failure;
  }

  override async request<T>({ method }: KubeRequest): Promise<T> {
    throw method === 'POST' ? new ApiError('AlreadyExists', 'taken') : this.#failure;
  }
}

async function createBy(client: KubeClient): Promise<unknown> {
  const log = createLog({ level: 'error' });
  const source = { client, log };
  const creation = new SessionCreation({
    client,
    warmStarts: new WarmStarts({
      client,
      pools: new PoolIndex({ ...source, onChange: () => undefined, onGone: () => undefined }),
      members: new PoolMembers(source),
      namespaces: new Namespaces(source),
    }),
    quotas: new QuotaCharges(client, new QuotaIndex(source)),
    trustAnchors: () => ({ ...anchors, rootKeySince: 0, picodKeySince: 0 }),
    now: Date.now,
    runtimes: {
      get: () => ({ runtime, resourceVersion: '1', status: {}, terminating: false }),
      read: async () => undefined,
    },
  });
  const decoded = { metadata: { name: 'mine' }, spec, causes: [], warnings: [] };
  const options = { user: { username: 'alice' }, dryRun: undefined, owners: () => undefined };
  return await creation.create('default', decoded, options).catch((error: unknown) => error);
}

describe('a session whose name is taken by somebody who cannot be read', () => {
  it('is refused as taken when kube-apiserver does not tell', async () => {
    const error = await createBy(new Failing(new ApiError('ServiceUnavailable', 'away')));
    expect(error).to.be.instanceOf(ApiError).with.property('reason', 'AlreadyExists');
  });

  it('tells of an accident of ours, and hides none behind the taken name', async () => {
    const accident = new TypeError('an accident');
    expect(await createBy(new Failing(accident))).to.equal(accident);
  });
});
