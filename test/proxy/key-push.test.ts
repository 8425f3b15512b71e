import { expect } from 'chai';
import type { CryptoKey } from 'jose';
import type { Sandbox } from '../../apis/v1alpha1/sandbox.ts';
import { keySetMediaType, keySetRoute } from '../../apis/wire/daemon.ts';
import { importRootKey, type KeySet, verifyKeySet } from '../../apis/wire/keyset.ts';
import { audienceOf, type TokenClaims, verifyToken } from '../../apis/wire/token.ts';
import { fingerprintOf } from '../../apis/wire/trust-anchor.ts';
import { until } from '../support/until.ts';
import { useKeyedGateway } from './keys/support/keyed-gateway.ts';
import { startDaemonSandbox } from './keys/support/sandboxes.ts';
import { Cleanup } from './support/cleanup.ts';
import { codeOf, jsonOf, RawClient } from './support/raw-client.ts';
import { startUpstream, type Upstream } from './support/upstream.ts';

/** A program that knows keys only by pushes and remembers what it was shown. */
interface StrictProgram extends Upstream {
  pushes: KeySet[];
  calls: TokenClaims[];
  /** As a restart of the container would. */
  forgetKeys(): void;
  /** The same in the middle of the next call, whose connection is lost by it. */
  restartAtNextCall(): void;
}

async function startStrictProgram(root: CryptoKey, audience: () => string): Promise<StrictProgram> {
  const pushes: KeySet[] = [];
  const calls: TokenClaims[] = [];
  let keys: KeySet['keys'] = new Map();
  let restarts = false;
  const upstream = await startUpstream((request, response) => {
    if (restarts) {
      restarts = false;
      keys = new Map();
      request.socket.destroy();
      return;
    }
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString();
      const answer = async () => {
        if (request.method === 'PUT' && request.url === keySetRoute) {
          expect(request.headers['content-type']).to.equal(keySetMediaType);
          const set = await verifyKeySet(body, root);
          keys = set.keys;
          pushes.push(set);
          return response.writeHead(204).end();
        }
        const token = (request.headers.authorization ?? '').replace(/^Bearer /, '');
        calls.push(await verifyToken(token, keys, audience()));
        return response.end(`did ${body}`);
      };
      answer().catch((error: { code?: number; reason?: string }) => {
        response.writeHead(error.code ?? 500).end(JSON.stringify({ error: 'no', reason: error.reason }));
      });
    });
  });
  const forgetKeys = () => {
    keys = new Map();
  };
  const restartAtNextCall = () => {
    restarts = true;
  };
  return { ...upstream, pushes, calls, forgetKeys, restartAtNextCall };
}

describe('key push', () => {
  const place = useKeyedGateway();
  const cleanup = new Cleanup();

  /** A ready session with this program in it. */
  async function createSession(name: string, port: number): Promise<Sandbox> {
    const sandbox = await place.sessions.create({
      name,
      authMode: 'sojourn',
      rootKey: place.gateway.path.keys.trustAnchors().rootKey,
      endpoints: [{ pathPrefix: '/', port, protocol: 'HTTP' }],
    });
    await place.sessions.makeReady(name);
    return sandbox;
  }

  async function startSession(name: string): Promise<StrictProgram> {
    const root = await importRootKey(place.gateway.path.keys.trustAnchors().rootKey);
    let podUid = '';
    const audience = () => audienceOf({ namespace: place.namespace, sandbox: name, podUid });
    const program = cleanup.add(await startStrictProgram(root, audience));
    await createSession(name, program.port);
    podUid = await place.sessions.podUid(name);
    return program;
  }

  const post = (name: string) => place.gateway.call(place.namespace, name, { method: 'POST', body: 'work' });

  it('gives the keys before the first call, once for many calls at a time', async () => {
    const program = await startSession('first');
    const answers = await Promise.all(Array.from({ length: 20 }, () => post('first')));
    for (const answer of answers) expect(answer).to.match(/^HTTP\/1\.1 200 .*did work$/s);
    expect(await post('first')).to.contain('did work');
    expect(program.pushes).to.have.length(1);
    expect(program.pushes[0]?.version).to.equal(
      place.gateway.path.keys.forDaemon(fingerprintOf(place.gateway.path.keys.trustAnchors().rootKey)).keySet.version,
    );
  });

  it('shows the sandbox whose session it is and who calls', async () => {
    const program = await startSession('who');
    const answer = await post('who');
    expect(program.calls[0]).to.include({ username: 'bob', userUid: 'uid-of-bob' });
    expect(answer).to.contain(`x-agentcube-session-id: ${program.calls[0]?.sessionUid}\r\n`);
  });

  it('repeats a call that met a restart: first its connection is lost, then its key is not known', async () => {
    const program = await startSession('restarting');
    expect(codeOf(await post('restarting'))).to.equal(200);
    program.restartAtNextCall();
    expect(codeOf(await place.gateway.call(place.namespace, 'restarting'))).to.equal(200);
    expect(program.pushes).to.have.length(2);
  });

  it('gives the keys again when the program was restarted, and sends a call without a body again', async () => {
    const program = await startSession('restarted');
    expect(codeOf(await post('restarted'))).to.equal(200);
    program.forgetKeys();
    expect(codeOf(await place.gateway.call(place.namespace, 'restarted'))).to.equal(200);
    expect(program.pushes).to.have.length(2);
  });

  it('gives the keys, and a token of its own, to the next Pod of a session', async () => {
    let podUid = '';
    const root = await importRootKey(place.gateway.path.keys.trustAnchors().rootKey);
    const audience = () => audienceOf({ namespace: place.namespace, sandbox: 'replaced', podUid });
    const program = cleanup.add(await startStrictProgram(root, audience));
    const { metadata } = await createSession('replaced', program.port);
    podUid = await place.sessions.podUid('replaced');
    expect(codeOf(await post('replaced'))).to.equal(200);
    const first = podUid;
    await place.sessions.deletePod('replaced');
    await until('the next Pod', async () => {
      podUid = await place.sessions.podUid('replaced').catch(() => first);
      return podUid !== first;
    });
    program.forgetKeys();
    await place.sessions.makeReady('replaced');
    const { pods } = place.gateway.path;
    await until('the next Pod to be known', () => pods.podOf(metadata.uid ?? '')?.uid === podUid);
    // A token for the first Pod would be refused by the audience, and without a second push by its key.
    expect(codeOf(await post('replaced'))).to.equal(200);
    expect(program.pushes).to.have.length(2);
  });

  it('never sends a body twice: 503 when to try again, and then it works', async () => {
    const program = await startSession('body');
    expect(codeOf(await post('body'))).to.equal(200);
    program.forgetKeys();
    const refused = await post('body');
    expect(jsonOf(refused)).to.include({ kind: 'Status', reason: 'KeyNotReady', code: 503 });
    expect(refused).to.match(/\r\nretry-after: 1\r\n/i);
    expect(program.calls).to.have.length(1);
    expect(codeOf(await post('body'))).to.equal(200);
  });

  it('passes on a 401 that is the program’s own', async () => {
    const root = await importRootKey(place.gateway.path.keys.trustAnchors().rootKey);
    const own = cleanup.add(
      await startUpstream((request, response) => {
        if (request.url === keySetRoute) response.writeHead(204).end();
        else response.writeHead(401, { 'www-authenticate': 'Basic' }).end(`own ${root.type}${'.'.repeat(40_000)}`);
      }),
    );
    await createSession('own-401', own.port);
    const answer = await place.gateway.call(place.namespace, 'own-401');
    expect(answer).to.match(/^HTTP\/1\.1 401 .*www-authenticate: Basic\r\n.*own public\.{40000}/is);
  });

  it('says KeyNotReady when the program refuses the keys', async () => {
    const refusing = cleanup.add(await startUpstream((_request, response) => response.writeHead(401).end()));
    await createSession('refusing', refusing.port);
    expect(jsonOf(await post('refusing'))).to.include({ reason: 'KeyNotReady' });
  });

  it('authenticates upgrades in the same way', async () => {
    const program = await startSession('upgraded');
    const client = cleanup.close(await RawClient.connect(place.gateway.port));
    const path = `/apis/sojourn.dev/v1alpha1/namespaces/${place.namespace}/sessions/upgraded/proxy/tty`;
    client.send(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tty/1\r\n\r\n`);
    await client.over();
    // This program takes every upgrade for a plain request; what counts is that it was shown a token it could verify.
    expect(client.text).to.match(/^HTTP\/1\.1 200 /);
    expect(program.calls).to.have.length(1);
  });

  it('opens the real daemon', async () => {
    const { rootKey } = place.gateway.path.keys.trustAnchors();
    const { sessions, namespace } = place;
    const daemon = cleanup.add(await startDaemonSandbox({ sessions, namespace, name: 'daemon', rootKey }));
    const execute = () =>
      place.gateway.call(place.namespace, 'daemon', {
        method: 'POST',
        target: '/api/execute',
        headers: ['Content-Type: application/json'],
        body: JSON.stringify({ command: ['echo', 'hello'] }),
      });
    expect(jsonOf(await execute())).to.include({ stdout: 'hello\n', exit_code: 0 });
    await daemon.restart();
    expect(codeOf(await place.gateway.call(place.namespace, 'daemon', { target: '/api/files?path=.' }))).to.equal(200);
    await until('the restarted daemon to work', async () => codeOf(await execute()) === 200);
  });
});
