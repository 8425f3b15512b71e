import { connect as connectHttp2 } from 'node:http2';
import { expect } from 'chai';
import { type Credential, createAuthority, issueLeaf } from '../../../hack/cluster/certificates.ts';
import { readCredential } from '../../proxy/support/certificates.ts';
import { useCluster } from '../../support/cluster.ts';
import { until } from '../../support/until.ts';

const settings = '/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication';
const sessions = '/apis/sojourn.dev/v1alpha1/namespaces/default/sessions';

describe('the front-proxy CA that kube-apiserver publishes', () => {
  const env = useCluster();
  let ca: Credential;
  before(async () => {
    ca = await readCredential(env.cluster.plane.pki.frontProxyCa);
  });

  const publish = async (pem: string | null) => {
    await env.client.request({
      ...{ method: 'PATCH', path: settings, contentType: 'application/merge-patch+json' },
      body: { data: { 'requestheader-client-ca-file': pem } },
    });
  };

  /** One connection for all requests, by whose certificate each of them is judged. */
  function open(credential: Credential): { status: () => Promise<number>; close: () => void } {
    const client = connectHttp2(env.cluster.apiserverUrl, { ca: env.ca, ...credential });
    const status = () =>
      new Promise<number>((resolve, reject) => {
        const stream = client.request({
          ':path': sessions,
          'x-remote-user': 'root',
          'x-remote-group': 'system:masters',
        });
        stream.on('response', (headers) => resolve(Number(headers[':status'])));
        stream.on('error', reject);
        stream.resume();
      });
    return { status, close: () => client.close() };
  }

  it('counts from the moment on that it is published, until it is no more, on open connections too', async () => {
    const next = await createAuthority('next-front-proxy-ca');
    const renewed = open(await issueLeaf(next, { commonName: 'front-proxy-client', usages: ['client'] }));
    const stranger = open(await issueLeaf(next, { commonName: 'somebody', usages: ['client'] }));
    const current = open(await readCredential(env.cluster.plane.pki.frontProxyClient));
    try {
      expect(await renewed.status()).to.equal(401);
      await publish(ca.cert + next.cert);
      await until('the new CA to count', async () => (await renewed.status()) === 200);
      expect(await current.status()).to.equal(200);
      expect(await stranger.status()).to.equal(401);
      await publish(ca.cert);
      await until('the CA that went to count no more', async () => (await renewed.status()) === 401);
      expect(await current.status()).to.equal(200);
    } finally {
      for (const connection of [renewed, stranger, current]) connection.close();
      await publish(ca.cert);
    }
  });

  it('stays in force when what is published cannot be used', async () => {
    const current = open(await readCredential(env.cluster.plane.pki.frontProxyClient));
    try {
      for (const broken of [
        '',
        'no certificate',
        '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
        null,
      ]) {
        await publish(broken);
        for (let round = 0; round < 10; round += 1) expect(await current.status(), String(broken)).to.equal(200);
      }
    } finally {
      current.close();
      await publish(ca.cert);
    }
  });
});
