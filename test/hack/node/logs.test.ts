import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import { expect } from 'chai';
import { until } from '../../support/until.ts';
import { shell, useLocalNode } from './local-node.ts';

describe('kubectl logs on the local node', () => {
  const node = useLocalNode();
  const ended = async (name: string) =>
    await node.podThat(name, 'has ended', ({ status }) => status.phase === 'Succeeded');

  it('shows both streams, and with --timestamps when each line was written', async () => {
    await node.create('both', shell('echo out; echo err >&2; printf "no newline"'), { restartPolicy: 'Never' });
    await ended('both');
    const { stdout } = await node.kubectl('logs', 'both');
    expect(
      stdout
        .split(/\n|(?=no newline)/)
        .filter((line) => line !== '')
        .sort(),
    ).to.deep.equal(['err', 'no newline', 'out']);
    const stamped = (await node.kubectl('logs', 'both', '--timestamps')).stdout.trimEnd().split('\n');
    for (const line of stamped) expect(line).to.match(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z (out|err|no newline)$/);
  });

  it('cuts by --tail, --limit-bytes and --since', async () => {
    await node.create('lines', shell('seq 1 20000'), { restartPolicy: 'Never' });
    await ended('lines');
    const logs = async (...flags: string[]) => (await node.kubectl('logs', 'lines', ...flags)).stdout;
    expect((await logs()).split('\n')).to.have.length(20_001);
    expect(await logs('--tail=3')).to.equal('19998\n19999\n20000\n');
    expect(await logs('--tail=0')).to.equal('');
    expect(await logs('--limit-bytes=4')).to.equal('1\n2\n');
    expect(await logs('--since-time=2001-01-01T00:00:00Z', '--tail=1')).to.equal('20000\n');
    expect(await logs('--since-time=2100-01-01T00:00:00Z')).to.equal('');
  });

  it('gives back a line of any length and any bytes as they were', async () => {
    const long = 'x'.repeat(100_000);
    await node.create('long', shell('head -c 100000 /dev/zero | tr "\\0" x; echo; echo "grüße €"'), {
      restartPolicy: 'Never',
    });
    await ended('long');
    expect((await node.kubectl('logs', 'long')).stdout).to.equal(`${long}\ngrüße €\n`);
  });

  it('follows until the container ends', async () => {
    await node.create('followed', shell('echo first; while [ ! -e go ]; do sleep 0.02; done; echo last'), {
      restartPolicy: 'Never',
    });
    const pod = await node.podThat('followed', 'runs', ({ status }) => status.phase === 'Running');
    const { kubectl } = node.plane.controlPlane.binaries;
    const args = [...kubectl.args, '-n', node.namespace, 'logs', '-f', 'followed'];
    const env = { ...process.env, KUBECONFIG: node.plane.controlPlane.kubeconfigs.admin };
    const follower = spawn(kubectl.file, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
    let seen = '';
    follower.stdout.on('data', (chunk: Buffer) => {
      seen += chunk.toString('utf8');
    });
    const closed = once(follower, 'close');
    await until('the first line', () => seen === 'first\n');
    await writeFile(join(node.dir, 'pods', pod.metadata.uid, 'main', 'home', 'workspace', 'go'), '');
    const [code] = await closed;
    expect(seen).to.equal('first\nlast\n');
    expect(code).to.equal(0);
  });

  it('has the attempt before with --previous', async () => {
    await node.create('twice', shell('if [ -e was ]; then echo second; sleep 1000; fi; touch was; echo one; exit 3'));
    await node.podThat('twice', 'runs again', ({ status }) => {
      const [container] = status.containerStatuses ?? [];
      return container?.restartCount === 1 && container.state.running !== undefined;
    });
    await until('the second line', async () => (await node.kubectl('logs', 'twice')).stdout === 'second\n');
    expect((await node.kubectl('logs', 'twice', '--previous')).stdout).to.equal('one\n');
    const never = await node.kubectl('logs', 'both', '--previous');
    expect(never.stderr).to.contain('previous terminated container "main" in pod "both" not found');
  });

  it('is kept from everybody but kube-apiserver', async () => {
    const { address, port } = node.node;
    const { controlPlane } = node.plane;
    const ca = await readFile(controlPlane.pki.ca.cert);
    const status = async (client?: { cert: string; key: string }) => {
      const credentials =
        client === undefined ? {} : { cert: await readFile(client.cert), key: await readFile(client.key) };
      const path = `/containerLogs/${node.namespace}/both/main`;
      const asked = request({ host: address, port, path, ca, agent: false, ...credentials });
      asked.end();
      const [response] = await once(asked, 'response');
      response.resume();
      return response.statusCode;
    };
    expect(await status(), 'without a certificate').to.equal(401);
    expect(await status(controlPlane.pki.alice), 'a user').to.equal(401);
    expect(await status(controlPlane.pki.frontProxyClient), 'another authority').to.equal(401);
    expect(await status(controlPlane.pki.kubeletClient), 'kube-apiserver').to.equal(200);
  });

  it('says what it has no log of, and that exec is not there', async () => {
    const unknown = await node.kubectl('logs', 'both', '-c', 'other');
    expect(unknown.stderr).to.contain('container other is not valid for pod both');
    await node.create('imageless', { image: 'nowhere/nothing:1' });
    await node.podThat('imageless', 'waits', ({ status }) => status.containerStatuses !== undefined);
    expect((await node.kubectl('logs', 'imageless')).stderr).to.match(
      /"imageless" is waiting to start: (image can't be|trying and)/,
    );
    expect((await node.kubectl('exec', 'twice', '--', 'ls')).stderr).to.contain(
      'exec is not implemented by the local node',
    );
  });
});
