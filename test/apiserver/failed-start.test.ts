import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { programCommand } from '../../hack/cluster/programs.ts';
import { newServingCertificate } from '../proxy/support/certificate.ts';

describe('a start that fails', () => {
  let dir: string;
  let occupant: Server;
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'sojourn-start-'));
    occupant = createServer().listen(0, '127.0.0.1');
    await once(occupant, 'listening');
  });
  after(async () => {
    occupant.close();
    await rm(dir, { recursive: true, force: true });
  });

  const file = async (name: string, content: string | Buffer) => {
    await writeFile(join(dir, name), content);
    return join(dir, name);
  };

  for (const program of ['apiserver', 'proxy'] as const) {
    it(`ends the ${program} when its port is taken, whatever it has started by then`, async () => {
      const address = occupant.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      const { cert, key } = await newServingCertificate();
      const cluster = { name: 'c', cluster: { server: `http://127.0.0.1:${port}` } };
      const context = { name: 'c', context: { cluster: 'c', user: 'u' } };
      const users = [{ name: 'u', user: { token: 'none' } }];
      const config = { kind: 'Config', 'current-context': 'c', clusters: [cluster], contexts: [context], users };
      const flags = [
        ...['--kubeconfig', await file('kubeconfig', JSON.stringify({ apiVersion: 'v1', ...config }))],
        ...['--tls-cert-file', await file('tls.crt', cert), '--tls-private-key-file', await file('tls.key', key)],
        ...['--listen-address', '127.0.0.1', '--listen-port', String(port), '--operations-port', '0'],
        ...['--audit-log-path', 'none'],
      ];
      const [node, ...args] = programCommand(program);
      const child = execFile(node, [...args, ...flags], { timeout: 20_000, killSignal: 'SIGKILL' });
      let said = '';
      child.stderr?.on('data', (chunk: string) => {
        said += chunk;
      });
      const [code] = await once(child, 'close');
      expect(said).to.contain('EADDRINUSE');
      expect(code).to.equal(1);
    }).timeout(30_000);
  }
});
