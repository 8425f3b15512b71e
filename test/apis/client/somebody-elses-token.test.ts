import { expect } from 'chai';
import { KubeClient } from '../../../apis/client/transport.ts';
import { hasReason } from '../../../apis/machinery/errors.ts';
import { useControlPlane, useNamespace } from '../../support/control-plane.ts';

interface Review {
  status: { userInfo: { username: string } };
}

describe('a request with somebody else’s token', () => {
  const plane = useControlPlane();
  const namespace = useNamespace(plane);
  let client: KubeClient;

  before(async () => {
    client = new KubeClient(await plane.clusterConfig('admin'));
  });

  after(async () => {
    await client.close();
  });

  const whoAmI = async (token?: string) => {
    const review = await client.request<Review>({
      method: 'POST',
      path: '/apis/authentication.k8s.io/v1/selfsubjectreviews',
      body: { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' },
      ...(token === undefined ? {} : { token }),
    });
    return review.status.userInfo.username;
  };

  it('is theirs, never ours, though our connections have a client certificate', async () => {
    const token = (await plane.kubectl(['create', 'token', 'default', '-n', namespace.name])).stdout.trim();
    const own = await whoAmI();
    expect(await whoAmI(token)).to.equal(`system:serviceaccount:${namespace.name}:default`);
    expect(await whoAmI()).to.equal(own);
  });

  it('is refused when the token is worth nothing', async () => {
    const error: unknown = await whoAmI('nonsense').catch((thrown: unknown) => thrown);
    expect(hasReason(error, 'Unauthorized')).to.equal(true);
  });
});
