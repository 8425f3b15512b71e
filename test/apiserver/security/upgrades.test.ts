import { readFile } from 'node:fs/promises';
import { connect } from 'node:tls';
import { expect } from 'chai';
import { useCluster } from '../../support/cluster.ts';
import { until } from '../../support/until.ts';
import { DirectPort, grant, heard, identity } from './support/direct.ts';

const base = '/apis/sojourn.dev/v1alpha1';

describe('upgrades at the API server', () => {
  const env = useCluster();
  const space = env.namespace('upgrades');
  const direct = new DirectPort(env);
  const target = () => `${base}/namespaces/${space.name}/sessions/mine/proxy/`;

  before(async () => {
    const verbs: Record<string, string[]> = { reader: ['get'], creator: ['create'], both: ['get', 'create'] };
    for (const [name, granted] of Object.entries(verbs)) {
      const rules = [{ apiGroups: ['sojourn.dev'], resources: ['sessions/proxy'], verbs: granted }];
      const people = name === 'reader' ? [name, 'bob'] : [name];
      await grant(env, space.name, { name, rules, subjects: people.map((person) => ({ kind: 'User', name: person })) });
    }
    const created = await env.client.requestRaw({
      method: 'POST',
      path: `${base}/namespaces/${space.name}/sessions`,
      body: {
        apiVersion: 'sojourn.dev/v1alpha1',
        kind: 'Session',
        metadata: { name: 'mine' },
        spec: { runtimeRef: { kind: 'CodeInterpreter', name: 'none' }, suspended: true },
      },
    });
    expect(created.status).to.equal(201);
    await until('the rights', async () => (await direct.as({ username: 'both' }, target())).status !== 403);
  });

  const request = (path: string, headers: readonly string[]): string => {
    const lines = [`GET ${path} HTTP/1.1`, 'Host: localhost', 'Upgrade: tty/1'];
    for (let i = 0; i + 1 < headers.length; i += 2) lines.push(`${headers[i]}: ${headers[i + 1]}`);
    return `${lines.join('\r\n')}\r\n\r\n`;
  };
  const connectionUpgrade = ['Connection', 'Upgrade'];
  const codeOf = (answer: string) => Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1]);

  it('need the right of their method and `create` besides: a stream is a shell as much as a read', async () => {
    const codes: Record<string, number> = {};
    for (const username of ['mallory', 'reader', 'creator', 'both']) {
      const answer = await direct.exchange(request(target(), [...connectionUpgrade, ...identity({ username })]));
      codes[username] = codeOf(answer);
    }
    // 409: the session is there and held.
    expect(codes).to.deep.equal({ mallory: 403, reader: 403, creator: 403, both: 409 });
  });

  it('that fail are answered once, close their connection, and let nothing on it be taken for another request', async () => {
    const smuggled = `GET ${base}/sessions HTTP/1.1\r\nHost: localhost\r\nX-Remote-User: admin\r\nX-Remote-Group: system:masters\r\n\r\n`;
    const tries: [string, readonly string[], number][] = [
      [target(), [], 401],
      [target(), identity({ username: 'mallory' }), 403],
      [target(), identity({ username: 'both' }), 409],
      [base, identity({ username: 'both' }), 400],
      ['/readyz', identity({ username: 'both' }), 400],
      ['/readyz', [], 401],
      [`${base}/namespaces/${space.name}/sessions/mine/proxy/../../x`, identity({ username: 'both' }), 409],
      [`${base}/namespaces/${space.name}/sessions/mine/exec`, identity({ username: 'both' }), 403],
    ];
    for (const [path, headers, code] of tries) {
      const answer = await direct.exchange(request(path, [...connectionUpgrade, ...headers]) + smuggled);
      expect(codeOf(answer), `${path} ${headers.join()}: ${answer}`).to.equal(code);
      expect(answer).to.match(/\r\nconnection: close\r\n/i);
      expect(answer.match(/HTTP\/1\.1/g)).to.have.length(1);
      expect(answer).not.to.contain('SessionList');
    }
  });

  it('whose Connection names the identity headers are still their user’s', async () => {
    const nominated = ['Connection', 'Upgrade, X-Remote-User, X-Remote-Group'];
    const answer = await direct.exchange(request(target(), [...nominated, ...identity({ username: 'reader' })]));
    expect([codeOf(answer), answer]).to.satisfy(
      ([code, text]: [number, string]) => code === 403 && text.includes('User \\"reader\\" cannot create'),
    );
  });

  it('through kube-apiserver do not lose or change their user by headers of the client’s', async () => {
    const { pki, server } = env.cluster.plane;
    const { hostname, port } = new URL(server);
    const credential = { cert: await readFile(pki.bob.cert), key: await readFile(pki.bob.key) };
    const headers = [
      ...['Connection', 'Upgrade, X-Remote-User, X-Remote-Group, X-Remote-Extra-Scopes'],
      ...['X-Remote-User', 'admin', 'X-Remote-Group', 'system:masters', 'X-Remote-Extra-Scopes', 'all'],
    ];
    const socket = connect({
      host: hostname,
      port: Number(port),
      ca: env.ca,
      ALPNProtocols: ['http/1.1'],
      ...credential,
    });
    // kube-apiserver lets him through: he may read.
    const answer = await heard(socket, request(target(), headers));
    expect(codeOf(answer), answer).to.equal(403);
    expect(answer).to.contain('User \\"bob\\" cannot create');
  });
});

describe('answers of a sandbox through kube-apiserver', () => {
  const env = useCluster();

  it('redirects come from sandboxes alone: no path of ours answers with one', async () => {
    const direct = new DirectPort(env);
    const root = { username: 'root', groups: ['system:masters'] };
    for (const path of [
      '/',
      '//evil.example/',
      '/apis',
      '/apis/',
      `${base}/`,
      `${base}//`,
      '/apis/sojourn.dev',
      '/openapi/v3/',
      '/readyz/',
    ]) {
      const { status, headers } = await direct.as(root, path);
      expect(status, path).to.satisfy((code: number) => code < 300 || code >= 400);
      expect(headers, path).not.to.have.property('location');
    }
  });
});
