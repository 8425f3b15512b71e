import type { Session } from '../../../apis/v1alpha1/types.ts';
import { accountUser } from '../../../hack/cluster/session-users.ts';
import type { TestCluster } from '../../support/cluster.ts';
import { type Answer, https } from '../../support/http.ts';
import { untilMayCall } from '../../support/rights.ts';

/** Namespaced accounts: one that may use sessions, one that may only make calls with GET, one that may nothing. */
export interface Accounts {
  owner: string;
  viewer: string;
  stranger: string;
}

export interface Call {
  token?: string;
  method?: string;
  sessionId?: string;
  headers?: Record<string, string>;
  body?: string | Buffer;
}

/** What the tests of AgentCube's interfaces share: accounts, and calls of the proxy. */
export class AgentCubeClients {
  readonly #env: TestCluster;
  readonly #namespace: () => string;

  constructor(env: TestCluster, namespace: () => string) {
    this.#env = env;
    this.#namespace = namespace;
  }

  /** Creates the accounts and gives their tokens, whose rights count by then. */
  async accounts(): Promise<Accounts> {
    const namespace = this.#namespace();
    const role = ['create', 'role', 'viewer', '-n', namespace, '--verb=get', '--resource=sessions.sojourn.dev/proxy'];
    await this.#env.kubectl(role);
    const names = ['owner', 'viewer', 'stranger'] as const;
    await Promise.all(names.map((name) => this.#env.kubectl(['create', 'serviceaccount', name, '-n', namespace])));
    const bind = (name: string, granted: string) =>
      this.#env.kubectl([
        ...['create', 'rolebinding', name, '-n', namespace, granted],
        `--serviceaccount=${namespace}:${name}`,
      ]);
    await Promise.all([bind('owner', '--clusterrole=sojourn-session-user'), bind('viewer', '--role=viewer')]);
    for (const name of ['owner', 'viewer']) {
      await untilMayCall(this.#env.client, { user: accountUser(namespace, name), namespace });
    }
    const token = async (name: string) =>
      (await this.#env.kubectl(['create', 'token', name, '-n', namespace])).stdout.trim();
    const [owner, viewer, stranger] = await Promise.all(names.map(token));
    return { owner: owner ?? '', viewer: viewer ?? '', stranger: stranger ?? '' };
  }

  /** One request to the proxy. */
  async call(path: string, { token, method, sessionId, headers, body }: Call = {}): Promise<Answer> {
    return await https({
      url: `${this.#env.cluster.proxyUrl}${path}`,
      ca: this.#env.ca,
      method: method ?? (body === undefined ? 'GET' : 'POST'),
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(sessionId === undefined ? {} : { 'x-agentcube-session-id': sessionId }),
        ...headers,
      },
      ...(body === undefined ? {} : { body }),
    });
  }

  /** A request that runs a command in an interpreter. */
  async execute(runtime: string, command: string[], call: Call): Promise<Answer> {
    return await this.call(`${this.invocations('code-interpreters', runtime)}/api/execute`, {
      ...call,
      headers: { 'content-type': 'application/json', ...call.headers },
      body: JSON.stringify({ command }),
    });
  }

  invocations(kind: 'code-interpreters' | 'agent-runtimes', name: string, namespace = this.#namespace()): string {
    return `/v1/namespaces/${namespace}/${kind}/${name}/invocations`;
  }

  async sessions(): Promise<Session[]> {
    const path = `/apis/sojourn.dev/v1alpha1/namespaces/${this.#namespace()}/sessions`;
    return (await this.#env.client.request<{ items: Session[] }>({ path })).items;
  }
}

/** The session id of an answer. */
export function sessionIdOf({ headers }: Answer): string | undefined {
  const value = headers['x-agentcube-session-id'];
  return Array.isArray(value) ? value.join(', ') : value;
}

export function jsonOf(answer: Answer): Record<string, unknown> {
  return JSON.parse(answer.text) as Record<string, unknown>;
}
