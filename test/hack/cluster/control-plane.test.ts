import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { expect } from 'chai';
import { type ControlPlane, startControlPlane } from '../../../hack/cluster/control-plane.ts';
import type { CredentialPaths } from '../../../hack/cluster/pki.ts';
import type { ProcessExit } from '../../../hack/cluster/process.ts';
import { Supervisor } from '../../../hack/cluster/supervisor.ts';
import { identify, type ProcessIdentity } from '../../../hack/kube/process-identity.ts';
import { SetupError } from '../../../hack/kube/setup-error.ts';
import { until } from '../../support/until.ts';

const PROGRAMS = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'agent-sandbox-controller'];

// One folder through its life: a first run that is killed, a second one that everything is tried on, and its stop.
describe('the control plane', function () {
  this.timeout(300_000);
  let dir: string;
  let first: ChildProcessByStdio<Writable, Readable, null> | undefined;
  let started: ControlPlane | undefined;
  const reported: string[] = [];
  const exits: ProcessExit[] = [];
  const options = () => ({
    dir,
    report: (line: string) => void reported.push(line),
    onExit: (exit: ProcessExit) => void exits.push(exit),
  });
  const running = (): ControlPlane => {
    if (started === undefined) throw new Error('the control plane was not started');
    return started;
  };
  const kubectl = async (args: string[], stdin?: string): Promise<string> => {
    const { code, stdout, stderr } = await running().kubectl(args, stdin === undefined ? {} : { stdin });
    expect(code, stderr).to.equal(0);
    return stdout.trim();
  };
  const canI = async (kubeconfig: string, what: string): Promise<string> =>
    (await running().kubectl(['auth', 'can-i', ...what.split(' ')], { kubeconfig })).stdout.trim();

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'sojourn-cluster-'));
    first = startFirstRun(dir);
    await untilReady(first);
    const orphans = await recorded(dir);
    expect(orphans.map(({ name }) => name)).to.have.members(PROGRAMS);
    first.kill('SIGKILL');
    await once(first, 'exit');
    started = await startControlPlane(options());
    expect(await alive(orphans), 'processes of the killed run').to.deep.equal([]);
  });

  after(async () => {
    await started?.stop();
    first?.kill('SIGKILL');
    await new Supervisor(dir, () => undefined).endLeftovers();
    await rm(dir, { recursive: true, force: true });
  });

  it('says how long each step took', () => {
    for (const program of PROGRAMS) {
      expect(reported.filter((line) => new RegExp(`^ {2}${program} +\\d+\\.\\d s$`).test(line))).to.have.length(1);
    }
  });

  it('finds the objects that the killed run had acknowledged, at the same address', async () => {
    expect(await kubectl(['get', 'configmap', 'kept', '-o', 'jsonpath={.data.by}'])).to.equal('first run');
  });

  it('is ready and of the Kubernetes version that the binaries say', async () => {
    expect(await kubectl(['get', '--raw', '/readyz'])).to.equal('ok');
    expect(JSON.parse(await kubectl(['get', '--raw', '/version']))).to.include({ major: '1', minor: '37' });
  });

  it('makes a Pod for a Sandbox, and removes it with the Sandbox', async () => {
    await kubectl(['create', '-f', '-'], SANDBOX);
    const pod = ['get', 'pods', '-o', 'jsonpath={.items[*].status.phase}'];
    await until('the Pod', async () => (await kubectl(pod)) === 'Pending');
    await kubectl(['delete', 'sandbox', 'box', '--wait=false']);
    // The collector learns of a resource within half a minute, and tries again with growing pauses.
    await until('the Pod to be collected', async () => (await kubectl(pod)) === '', { deadlineMs: 90_000 });
  });

  it('publishes the root certificate into every namespace and fills aggregated roles', async () => {
    const field = async (kind: string, name: string, path: string) =>
      (await running().kubectl(['get', kind, name, '-o', `jsonpath=${path}`])).stdout.trim();
    const ca = (await readFile(running().pki.ca.cert, 'utf8')).trim();
    await until(
      'the certificate',
      async () => (await field('configmap', 'kube-root-ca.crt', '{.data.ca\\.crt}')) === ca,
    );
    await until('the role', async () => (await field('clusterrole', 'view', '{.rules[0].verbs}')).includes('list'));
  });

  it('knows its users: the admin may all, alice and bob nothing of themselves, the node its work only', async () => {
    const { admin, alice, bob, nodeClient } = running().kubeconfigs;
    expect(await canI(admin, 'delete nodes')).to.equal('yes');
    expect(await canI(alice, 'list pods')).to.equal('no');
    expect(await canI(bob, 'list pods')).to.equal('no');
    for (const allowed of ['create pods --subresource=binding', 'patch nodes --subresource=status', 'get secrets']) {
      expect(await canI(nodeClient, allowed), allowed).to.equal('yes');
    }
    for (const denied of ['create pods', 'list secrets', 'get sandboxes', 'delete nodes']) {
      expect(await canI(nodeClient, denied), denied).to.equal('no');
    }
    const { stdout } = await running().kubectl(['auth', 'whoami', '-o', 'jsonpath={.status.userInfo}'], {
      kubeconfig: alice,
    });
    expect(JSON.parse(stdout)).to.deep.include({
      username: 'alice',
      groups: ['sojourn-users', 'system:authenticated'],
    });
  });

  it('lets nobody at etcd without its certificate, not even a user of the cluster', async () => {
    const ask = async (client: { cert: string; key: string } | undefined): Promise<number | undefined> =>
      await statusOf(`https://127.0.0.1:${running().ports.etcd}/readyz`, running().pki.etcdCa.cert, client);
    expect(await ask(undefined)).to.equal(undefined);
    expect(await ask(running().pki.admin)).to.equal(undefined);
    expect(await ask(running().pki.etcdClient)).to.equal(200);
  });

  it('refuses a second start in the same folder and names the process that has it', async () => {
    const failure = await startControlPlane(options()).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(failure).to.be.instanceOf(SetupError);
    expect((failure as SetupError).message).to.match(
      new RegExp(`^A cluster already runs in ${dir} \\(process ${process.pid}\\): .*\\.$`),
    );
  });

  it('reports a process that ends by itself, with its name and the end of its log', async () => {
    const controller = running().processes.find(({ name }) => name === 'agent-sandbox-controller');
    process.kill(controller?.pid ?? 0, 'SIGKILL');
    const exit = await until('the report', async () => exits[0]);
    expect(exit).to.include({ name: 'agent-sandbox-controller', code: null, signal: 'SIGKILL' });
    expect(exit.logTail).to.match(/\S/);
    expect(running().processes.map(({ name }) => name)).to.not.include('agent-sandbox-controller');
    expect(await kubectl(['get', '--raw', '/readyz'])).to.equal('ok');
  });

  it('stops without leaving a process, and reports none of them as lost', async () => {
    const remaining = await recorded(dir);
    expect(remaining).to.have.length(3);
    await running().stop();
    expect(await alive(remaining)).to.deep.equal([]);
    expect(await recorded(dir)).to.deep.equal([]);
    expect(exits).to.have.length(1);
  });

  it('stops what it had started when the start is cancelled', async () => {
    const cancel = new AbortController();
    const report = (line: string): void => {
      if (line.includes('etcd')) cancel.abort(new Error('enough'));
    };
    const failure = await startControlPlane({ ...options(), report, signal: cancel.signal }).then(
      () => undefined,
      (error: Error) => error.message,
    );
    expect(failure).to.equal('enough');
    expect(await recorded(dir)).to.deep.equal([]);
  });
});

/** A control plane in a process of its own, with a config map in it. */
function startFirstRun(dir: string): ChildProcessByStdio<Writable, Readable, null> {
  const script = join(import.meta.dirname, 'run-control-plane.ts');
  return spawn(process.execPath, [script, dir], { stdio: ['pipe', 'pipe', 'inherit'] });
}

async function untilReady(run: ChildProcessByStdio<Writable, Readable, null>): Promise<void> {
  let output = '';
  run.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    output += chunk;
  });
  await until(
    'the first run to be ready',
    async () => {
      if (run.exitCode !== null) throw new Error(`the first run ended: ${output}`);
      return output.includes('READY');
    },
    { deadlineMs: 150_000 },
  );
}

interface Recorded extends ProcessIdentity {
  name: string;
}

/** What the folder says is running. */
async function recorded(dir: string): Promise<Recorded[]> {
  return JSON.parse(await readFile(join(dir, 'pids.json'), 'utf8')) as Recorded[];
}

async function alive(processes: Recorded[]): Promise<string[]> {
  const found = await Promise.all(
    processes.map(async ({ name, pid, startTime }) => ((await identify(pid))?.startTime === startTime ? [name] : [])),
  );
  return found.flat();
}

/** The status of a GET, or undefined when TLS refuses the client. */
async function statusOf(url: string, ca: string, client: CredentialPaths | undefined): Promise<number | undefined> {
  const tls = client === undefined ? {} : { cert: await readFile(client.cert), key: await readFile(client.key) };
  const trusted = await readFile(ca);
  return await new Promise((resolve) => {
    const call = request(url, { ca: trusted, ...tls, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    call.on('error', () => resolve(undefined));
    call.end();
  });
}

const SANDBOX = `
apiVersion: agents.x-k8s.io/v1beta1
kind: Sandbox
metadata:
  name: box
spec:
  podTemplate:
    spec:
      containers:
      - name: main
        image: example.test/none
`;
