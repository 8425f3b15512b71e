import type { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { Agent, createServer, request as httpsRequest, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { expect } from 'chai';
import { createLog } from '../../../apis/runtime/log.ts';
import { type Credential, createAuthority, issueLeaf } from '../../../hack/cluster/certificates.ts';
import { CallerAuthenticator } from '../../../proxy/access/callers.ts';
import { FileClientAuthorities } from '../../../proxy/access/client-authorities.ts';
import { ConnectionCertificates } from '../../../proxy/access/client-certificate.ts';
import { readCertificates } from '../../../proxy/access/published-settings.ts';

const dayMs = 24 * 3600 * 1000;

describe('verdicts about client certificates', () => {
  let ca: Credential;
  let server: Server;
  let agent: Agent;
  let authorities: X509Certificate[];
  const received: IncomingMessage[] = [];

  before(async () => {
    ca = await createAuthority('ca');
    const request = { commonName: 'localhost', subjectAltNames: ['localhost', '127.0.0.1'] };
    const serving = await issueLeaf(ca, { ...request, usages: ['server'] });
    const alice = await issueLeaf(ca, { commonName: 'alice', usages: ['client'] });
    authorities = readCertificates(ca.cert);
    server = createServer({ ...serving, requestCert: true, rejectUnauthorized: false }, (incoming, response) => {
      received.push(incoming);
      response.end();
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    agent = new Agent({ ca: ca.cert, ...alice, keepAlive: true, maxSockets: 1 });
  });

  after(() => {
    agent.destroy();
    server.close();
  });

  /** The server's side of one more request on the one connection. */
  async function next(): Promise<IncomingMessage> {
    const { port } = server.address() as AddressInfo;
    const [response] = (await once(httpsRequest({ host: '127.0.0.1', port, agent }).end(), 'response')) as [
      IncomingMessage,
    ];
    response.resume();
    await once(response, 'end');
    const request = received.at(-1);
    if (request === undefined) throw new Error('nothing was received');
    return request;
  }

  it('cost a connection’s later requests nothing', async () => {
    const certificates = new ConnectionCertificates(Date.now);
    const first = await next();
    const certificate = certificates.verified(first, authorities);
    expect(certificate?.subject).to.equal('CN=alice');
    const second = await next();
    expect(second.socket).to.equal(first.socket);
    // Whoever looked at the certificate again would now find none.
    Object.assign(second.socket, { getPeerX509Certificate: () => undefined });
    try {
      expect(certificates.verified(second, authorities)).to.equal(certificate);
    } finally {
      Reflect.deleteProperty(second.socket as TLSSocket, 'getPeerX509Certificate');
    }
  });

  it('end with the certificate, and with the authority, on an open connection', async () => {
    let now = Date.now();
    const certificates = new ConnectionCertificates(() => now);
    const request = await next();
    expect(certificates.verified(request, authorities)).not.to.equal(undefined);
    expect(certificates.verified(request, [])).to.equal(undefined);
    expect(certificates.verified(request, authorities)).not.to.equal(undefined);
    now += 364 * dayMs;
    expect(certificates.verified(request, authorities)).not.to.equal(undefined);
    now += 2 * dayMs;
    expect(certificates.verified(request, authorities)).to.equal(undefined);
  });

  it('wait for the authorities to be known, rather than call a caller nobody', async () => {
    const tokens = {
      authenticate: async () => {
        throw new Error('no token was sent');
      },
    };
    const unknowing = new CallerAuthenticator({ authorities: { current: undefined }, tokens, now: Date.now });
    const failure: unknown = await unknowing.authenticate(await next()).catch((error: unknown) => error);
    expect(failure).to.include({ reason: 'ServiceUnavailable', retryAfterSeconds: 1 });
    const knowing = new CallerAuthenticator({ authorities: { current: authorities }, tokens, now: Date.now });
    const caller = await knowing.authenticate(await next());
    expect(caller.credential).to.deep.equal({ kind: 'asserted' });
    expect(caller.user).to.deep.include({ username: 'alice', groups: ['system:authenticated'] });
    expect(caller.user.extra?.['authentication.kubernetes.io/credential-id']?.[0]).to.match(
      /^X509SHA256=[0-9a-f]{64}$/,
    );
  });

  it('follow the file of --client-ca-file, and keep its last good content', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'sojourn-ca-'));
    const file = join(dir, 'ca.crt');
    const lines: string[] = [];
    const log = createLog({ write: (line) => lines.push(line) });
    try {
      await writeFile(file, 'no certificate');
      const refusal: unknown = await FileClientAuthorities.open(file, log).catch((error: unknown) => error);
      expect(String(refusal)).to.contain('holds no PEM certificate');
      await writeFile(file, ca.cert);
      const authorities = await FileClientAuthorities.open(file, log);
      const first = authorities.current;
      await authorities.refresh();
      expect(authorities.current).to.equal(first);
      for (const unusable of ['', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----']) {
        await writeFile(file, unusable);
        await authorities.refresh();
        expect(authorities.current).to.equal(first);
      }
      expect(lines).to.have.length(2);
      await writeFile(file, (await createAuthority('next')).cert);
      await authorities.refresh();
      expect(authorities.current.map(({ subject }) => subject)).to.deep.equal(['CN=next']);
      await rm(file);
      await authorities.refresh();
      expect(authorities.current).to.have.length(1);
      expect(lines).to.have.length(3);
    } finally {
      await rm(dir, { recursive: true });
    }
  });
});
