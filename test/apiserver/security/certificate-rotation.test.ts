import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createSecureContext, type TLSSocket } from 'node:tls';
import { expect } from 'chai';
import { createLog } from '../../../apis/runtime/log.ts';
import { ServingCertificate } from '../../../apis/runtime/serving-certificate.ts';
import { type Credential, issueLeaf } from '../../../hack/cluster/certificates.ts';
import type { Replica } from '../../../hack/cluster/sojourn.ts';
import { issueExpired, readCredential } from '../../proxy/support/certificates.ts';
import { useCluster } from '../../support/cluster.ts';
import { shared } from '../../support/control-plane.ts';
import { until } from '../../support/until.ts';

const leaf = (commonName: string) => ({ commonName, usages: ['server' as const], subjectAltNames: ['127.0.0.1'] });

describe('a serving certificate', () => {
  const env = useCluster();
  let dir: string;
  let ca: Credential;
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'sojourn-serving-'));
    ca = await readCredential(env.cluster.plane.pki.ca);
  });
  after(() => rm(dir, { recursive: true }));

  async function place(name: string, { cert, key }: Credential): Promise<{ certFile: string; keyFile: string }> {
    const [certFile, keyFile] = [join(dir, `${name}.crt`), join(dir, `${name}.key`)];
    await Promise.all([writeFile(certFile, cert), writeFile(keyFile, key)]);
    return { certFile, keyFile };
  }

  const open = (port: number): Promise<TLSSocket> =>
    new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', ca: env.ca }, () => resolve(socket));
      socket.on('error', reject);
    });

  async function servedName(port: number): Promise<string> {
    const socket = await open(port);
    const name = socket.getPeerCertificate().subject.CN;
    socket.destroy();
    return String(name);
  }

  const kinds: [string, (name: string, flags: string[]) => Promise<Replica>][] = [
    ['API server', (name, flags) => env.cluster.sojourn.startApiserverReplica(name, flags)],
    ['proxy', (name, flags) => env.cluster.sojourn.startProxyReplica(name, flags)],
  ];
  for (const [kind, start] of kinds) {
    it(`of the ${kind} is replaced on disk and served without a restart; open connections stay, and a metric tells its end`, async () => {
      const name = `rotating-${kind.replace(' ', '-').toLowerCase()}`;
      const { certFile, keyFile } = await place(name, await issueLeaf(ca, leaf('first')));
      const replica = await start(name, ['--tls-cert-file', certFile, '--tls-private-key-file', keyFile]);
      try {
        expect(await servedName(replica.port)).to.equal('first');
        const lasting = await open(replica.port);
        await place(name, await issueLeaf(ca, leaf('second')));
        await until('the second certificate', async () => (await servedName(replica.port)) === 'second');
        expect(lasting.destroyed).to.equal(false);
        lasting.destroy();
        const metrics = await (await fetch(`http://127.0.0.1:${replica.operationsPort}/metrics`)).text();
        const authority = kind === 'proxy' ? 'client-ca' : 'front-proxy-ca';
        for (const [certificate, days] of [
          ['serving', 364],
          [authority, 3000],
        ] as const) {
          const text = new RegExp(
            `^sojourn_certificate_expiration_timestamp_seconds\\{certificate="${certificate}"\\} (\\S+)$`,
            'm',
          ).exec(metrics)?.[1];
          expect(Number(text) - Date.now() / 1000, certificate).to.be.greaterThan(days * 86_400);
        }
      } finally {
        shared.doomed.add(replica.process.pid);
        await replica.process.stop();
      }
    }).timeout(120_000);
  }

  it('whose key is not there yet, or that is none, leaves the last good one in force, and is told of once', async () => {
    const lines: string[] = [];
    const log = createLog({ write: (line) => lines.push(line) });
    const [first, second] = await Promise.all([issueLeaf(ca, leaf('first')), issueLeaf(ca, leaf('second'))]);
    const files = await place('partial', first);
    const certificate = await ServingCertificate.open({ ...files, log });
    const served: string[] = [];
    certificate.start(({ cert }) => served.push(cert.toString()));
    try {
      await writeFile(files.certFile, second.cert);
      await certificate.refresh();
      await certificate.refresh();
      expect(certificate.pair.cert.toString()).to.equal(first.cert);
      expect(lines.filter((line) => line.includes('cannot be used'))).to.have.length(1);
      expect(lines.join()).not.to.contain('PRIVATE KEY');
      await writeFile(files.keyFile, second.key);
      await certificate.refresh();
      await rm(files.certFile);
      await certificate.refresh();
      expect(served).to.deep.equal([second.cert]);
    } finally {
      certificate.stop();
    }
  });

  it('that the server itself refuses leaves the last good one in force, its end told, and is tried again', async () => {
    const lines: string[] = [];
    const log = createLog({ write: (line) => lines.push(line) });
    const [first, second] = await Promise.all([issueLeaf(ca, leaf('first')), issueLeaf(ca, leaf('second'))]);
    const files = await place('refused', first);
    const certificate = await ServingCertificate.open({ ...files, log });
    const { expiresAt } = certificate;
    const served: string[] = [];
    certificate.start(({ cert, key }) => {
      createSecureContext({ cert, key });
      served.push(cert.toString());
    });
    try {
      const malformed = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';
      const ending = await issueExpired(ca, leaf('third'));
      await place('refused', { cert: ending.cert + malformed, key: ending.key });
      await certificate.refresh();
      await certificate.refresh();
      expect(certificate.pair.cert.toString()).to.equal(first.cert);
      expect(certificate.expiresAt).to.equal(expiresAt);
      expect(lines.filter((line) => line.includes('cannot be used'))).to.have.length(1);
      await place('refused', second);
      await certificate.refresh();
      expect(served).to.deep.equal([second.cert]);
      expect(certificate.pair.cert.toString()).to.equal(second.cert);
    } finally {
      certificate.stop();
    }
  });

  it('that cannot be used keeps a server from starting, in words that name the flags', async () => {
    const [one, other] = await Promise.all([issueLeaf(ca, leaf('one')), issueLeaf(ca, leaf('other'))]);
    const files = await place('mixed', { cert: one.cert, key: other.key });
    const log = createLog({ level: 'error' });
    for (const certFile of [files.certFile, join(dir, 'absent.crt')]) {
      const error: unknown = await ServingCertificate.open({ ...files, certFile, log }).catch(
        (thrown: unknown) => thrown,
      );
      expect(error)
        .to.be.instanceOf(Error)
        .with.property('message')
        .that.matches(/^--tls-cert-file .* cannot be used: /);
    }
  });
});
