import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { createLog } from '../../apis/runtime/log.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import { createRuntime, type NewRuntime, runtimesPath } from '../../hack/cluster/runtimes.ts';
import { accountUser } from '../../hack/cluster/session-users.ts';
import { readOptions } from '../../proxy/options.ts';
import { type RunningProxy, startProxy } from '../../proxy/server.ts';
import { useCluster } from '../support/cluster.ts';
import { untilMayCall } from '../support/rights.ts';
import { skip } from '../support/skip.ts';
import { until } from '../support/until.ts';
import { type InstalledSdk, installSdk, python, SdkMissing } from './agentcube-sdk/install.ts';
import { echoRuntime } from './support/echo-agent.ts';

const installTimeoutMs = 150_000;

interface Seen {
  methods: Record<string, string[]>;
  CodeInterpreterClient: Record<string, unknown>;
  AgentRuntimeClient: Record<string, unknown>;
  errors: Record<string, [number, string]>;
}

describe('AgentCube’s Python SDK', () => {
  const env = useCluster();
  const space = env.namespace('sdk');
  let sdk: InstalledSdk;
  let dir = '';
  let token = '';

  before(async function () {
    this.timeout(installTimeoutMs);
    try {
      sdk = await installSdk((line) => process.stderr.write(`${line}\n`));
    } catch (error) {
      if (!(error instanceof SdkMissing)) throw error;
      skip(this, `${error.message}`);
    }
    dir = await mkdtemp(join(tmpdir(), 'sojourn-sdk-'));
    await createRuntime(env.client, space.name, echoRuntime);
    await env.kubectl(['create', 'serviceaccount', 'agent', '-n', space.name]);
    for (const namespace of [space.name, 'default']) {
      await env.kubectl([
        ...['create', 'rolebinding', space.name, '-n', namespace, '--clusterrole=sojourn-session-user'],
        `--serviceaccount=${space.name}:agent`,
      ]);
      await untilMayCall(env.client, { user: accountUser(space.name, 'agent'), namespace });
    }
    token = (await env.kubectl(['create', 'token', 'agent', '-n', space.name])).stdout.trim();
  });

  after(async () => {
    await env.kubectl(['delete', 'rolebinding', space.name, '-n', 'default', '--ignore-not-found']);
    if (dir !== '') await rm(dir, { recursive: true });
  });

  /** What a shell of the SDK's user has: the two addresses, our CA, and a netrc with the token. */
  async function environment(): Promise<NodeJS.ProcessEnv> {
    const { proxyUrl, caFile } = env.cluster;
    const netrc = join(dir, 'netrc');
    const hosts = [new URL(proxyUrl).hostname, 'localhost'];
    const lines = hosts.map((host) => `machine ${host} login token password ${token}\n`);
    await writeFile(netrc, lines.join(''), { mode: 0o600 });
    return {
      PATH: process.env.PATH,
      HOME: dir,
      PYTHONPATH: sdk.packages,
      ROUTER_URL: proxyUrl,
      WORKLOAD_MANAGER_URL: proxyUrl,
      REQUESTS_CA_BUNDLE: caFile,
      NETRC: netrc,
    };
  }

  const program = (name: string) => fileURLToPath(new URL(`agentcube-sdk/${name}.py`, import.meta.url));

  async function sessionIds(): Promise<unknown[]> {
    const path = `/apis/sojourn.dev/v1alpha1/namespaces/${space.name}/sessions`;
    const { items } = await env.client.request<{ items: Session[] }>({ path });
    return items.filter(({ metadata }) => metadata.deletionTimestamp === undefined).map(({ metadata }) => metadata.uid);
  }

  it('works unmodified, every public method of its clients', async function () {
    this.timeout(180_000);
    const { code, stdout, stderr } = await python([program('all_methods'), space.name], await environment(), dir);
    expect(code, stderr).to.equal(0);
    const seen = JSON.parse(stdout) as Seen;
    expect(seen.CodeInterpreterClient).to.deep.include({
      execute_command: 'a b\n',
      'execute_command, a list': 'x',
      'execute_command, failing': [3, 'bad\n'],
      'execute_command, too long': 124,
      run_code: '42\n',
      'run_code, bash': '123',
      write_file: 'héllo',
      upload_file: '3000000',
      download_file: true,
      list_files: ['dir', 'up.bin'],
      'session reuse': 'héllo\n',
      'missing file': 404,
      'stop, by the context manager': null,
    });
    const agent = seen.AgentRuntimeClient;
    expect(agent.invoke).to.deep.equal(['POST', '/', { prompt: 'hi' }]);
    expect(agent['session reuse']).to.equal(agent.session_id);
    expect(seen.errors['unknown interpreter']?.[0]).to.equal(404);
    expect(seen.errors['unknown interpreter']?.[1]).to.contain('not found');
    const missing = `agentruntimes.agentcube.volcano.sh \\"${space.name}/absent\\" not found`;
    expect(seen.errors['unknown agent']?.[0]).to.equal(404);
    expect(seen.errors['unknown agent']?.[1]).to.contain(missing);
    const [stopped, repeated] = seen.CodeInterpreterClient.stop as [string, boolean];
    expect(repeated).to.equal(true);
    await until('stopped sessions to go and the agent’s to stay', async () => {
      const ids = await sessionIds();
      expect(ids).to.include(agent.session_id);
      return !ids.includes(stopped) && !ids.includes(seen.CodeInterpreterClient.session_id);
    });
    for (const [client, methods] of Object.entries(seen.methods)) {
      const called = Object.keys(seen[client as 'AgentRuntimeClient']);
      expect(called, `every method of ${client}`).to.include.members(methods);
    }
  });

  describe('with its own examples, unmodified', () => {
    /** Runs an example with a runtime of the name that it has in it. */
    async function run(example: string, runtime: NewRuntime): Promise<string> {
      const { name, kind } = runtime;
      await createRuntime(env.client, 'default', runtime);
      try {
        const { code, stdout, stderr } = await python([join(sdk.examples, example)], await environment(), dir);
        expect(code, stderr).to.equal(0);
        return stdout;
      } finally {
        await env.client.request({ method: 'DELETE', path: `${runtimesPath('default', kind)}/${name}` });
        // AgentRuntimeClient has no method that would.
        for (const session of await sessionsOf(name))
          await env.kubectl(['delete', 'session', session, '-n', 'default']);
      }
    }

    const sessionsOf = async (runtime: string) => {
      const path = '/apis/sojourn.dev/v1alpha1/namespaces/default/sessions';
      const { items } = await env.client.request<{ items: Session[] }>({ path });
      return items.filter(({ spec }) => spec.runtimeRef.name === runtime).map(({ metadata }) => metadata.name ?? '');
    };

    it('runs code and keeps files', async function () {
      this.timeout(180_000);
      const output = await run('basic_usage.py', {
        name: 'my-interpreter',
        spec: { authMode: 'sojourn', template: { image: 'ghcr.io/sojourn-dev/sojourn-daemon:test' } },
      });
      expect(output).to.contain('Result: Pi is approximately 3.141593\n').and.to.contain("'hello.txt'");
      expect(output).to.match(/Result: 42\n\nStep 3: Delete session\nSession deleted.\n$/);
    });

    it('invokes an agent, at the address that stands in the example', async function () {
      this.timeout(180_000);
      const port = 18_081;
      let proxy: RunningProxy;
      try {
        proxy = await startProxy(plainHttp(port), createLog({ level: 'error' }));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
        skip(this, `port ${port}, which stands in agent_runtime_usage.py, is taken`);
      }
      try {
        const ready = `http://127.0.0.1:${proxy.operationsPort}/readyz`;
        await until('the proxy to be ready', async () => (await fetch(ready)).status === 200);
        const agent = { ...echoRuntime, name: 'my-agent' };
        const output = (await run('agent_runtime_usage.py', agent)).trim().split('\n');
        expect(output).to.have.length(4);
        expect(output[2]).to.equal(output[0]);
        for (const answer of [output[1], output[3]]) expect(answer).to.contain('"prompt": "Hello World!"');
      } finally {
        await proxy.stop();
      }
    });

    /** One more proxy, as a user may start it beside the cluster's. */
    const plainHttp = (port: number) =>
      readOptions(
        [
          ...['--kubeconfig', join(env.cluster.plane.dir, 'components', 'sojourn-proxy.kubeconfig')],
          ...['--insecure-http', '--listen-address', '127.0.0.1', '--listen-port', String(port)],
          ...['--operations-address', '127.0.0.1', '--operations-port', '0', '--allow-loopback-pods'],
          ...['--audit-log-path', join(dir, 'audit.log')],
        ],
        {},
      );
  });

  it('is told what is wrong without a token', async () => {
    const { NETRC: _netrc, ...anonymous } = await environment();
    const client = `CodeInterpreterClient(name="py", namespace="${space.name}")`;
    const { code, stderr } = await python(['-c', `from agentcube import *; ${client}`], anonymous, dir);
    expect(code).to.equal(1);
    expect(stderr).to.contain('401').and.to.contain('Missing authorization header');
  });
});
