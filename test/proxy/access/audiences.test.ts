import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { KubeClient } from '../../../apis/client/transport.ts';
import { hasReason } from '../../../apis/machinery/errors.ts';
import { TokenAuthenticator } from '../../../proxy/access/authenticate.ts';
import { readOptions } from '../../../proxy/options.ts';
import { useControlPlane, useNamespace } from '../../support/control-plane.ts';

describe('tokens of dedicated audiences', () => {
  const plane = useControlPlane();
  const namespace = useNamespace(plane);
  let authenticator: TokenAuthenticator;

  before(async () => {
    await plane.kubectl(['create', 'serviceaccount', 'robot', '-n', namespace.name]);
    authenticator = new TokenAuthenticator({ client: plane.client, audiences: ['other', 'sojourn'] });
  });

  async function tokenFor(...audiences: string[]): Promise<string> {
    const flags = audiences.map((audience) => `--audience=${audience}`);
    return (await plane.kubectl(['create', 'token', 'robot', '-n', namespace.name, ...flags])).stdout.trim();
  }

  async function outcome(tokens: TokenAuthenticator, token: string): Promise<string> {
    try {
      const { user, credential } = await tokens.authenticate(token, '127.0.0.1');
      return `${user.username} ${credential.kind}`;
    } catch (error) {
      if (hasReason(error, 'Unauthorized')) return 'Unauthorized';
      throw error;
    }
  }

  const robot = () => `system:serviceaccount:${namespace.name}:robot`;

  it('are taken for the audiences that are configured, and say that kube-apiserver would not take them', async () => {
    expect(await outcome(authenticator, await tokenFor('sojourn'))).to.equal(`${robot()} asserted`);
    expect(await outcome(authenticator, await tokenFor('third', 'other'))).to.equal(`${robot()} asserted`);
    expect(await outcome(authenticator, await tokenFor('third'))).to.equal('Unauthorized');
  });

  it('leave tokens for kube-apiserver what they are: the caller’s own', async () => {
    const token = await tokenFor();
    expect(await outcome(authenticator, token)).to.equal(`${robot()} token`);
    expect((await authenticator.authenticate(token, '127.0.0.1')).credential).to.deep.equal({ kind: 'token', token });
  });

  it('are not taken where none is configured', async () => {
    const plain = new TokenAuthenticator({ client: plane.client });
    expect(await outcome(plain, await tokenFor('sojourn'))).to.equal('Unauthorized');
  });

  it('are not taken on the word of a reviewer that knows no audiences', async () => {
    // As authentication.k8s.io/v1 says such a one may answer: yes, and no word about audiences.
    const reviewer = createServer((request, response) => {
      let body = '';
      request.setEncoding('utf8').on('data', (chunk: string) => {
        body += chunk;
      });
      request.on('end', () => {
        const { spec } = JSON.parse(body) as { spec: { audiences?: string[] } };
        const authenticated = spec.audiences !== undefined;
        response.end(JSON.stringify({ status: { authenticated, user: { username: 'mallory' } } }));
      });
    });
    await once(reviewer.listen(0, '127.0.0.1'), 'listening');
    const client = new KubeClient({ server: `http://127.0.0.1:${(reviewer.address() as AddressInfo).port}` });
    try {
      expect(await outcome(new TokenAuthenticator({ client, audiences: ['sojourn'] }), 'x')).to.equal('Unauthorized');
    } finally {
      await client.close();
      reviewer.close();
    }
  });

  it('are configured by one flag', () => {
    const serving = ['--insecure-http', '--listen-address', '127.0.0.1'];
    expect(readOptions([...serving, '--token-audiences', 'a,b'], {})['token-audiences']).to.deep.equal(['a', 'b']);
    for (const wrong of ['a,', ',a', 'a, b']) {
      expect(() => readOptions([...serving, '--token-audiences', wrong], {}), wrong).to.throw(
        '--token-audiences must be',
      );
    }
  });
});
