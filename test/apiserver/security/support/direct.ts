import { readFile } from 'node:fs/promises';
import { connect, type TLSSocket } from 'node:tls';
import type { Status } from '../../../../apis/machinery/meta.ts';
import type { UserInfo } from '../../../../proxy/access/user.ts';
import type { TestCluster } from '../../../support/cluster.ts';
import { type Answer, https } from '../../../support/http.ts';
import { until } from '../../../support/until.ts';

export interface DirectCall {
  method?: string;
  body?: object;
  contentType?: string;
  /** Pairs of name and value. */
  rawHeaders?: readonly string[];
}

/** The port of the API server itself, as the front proxy reaches it: past kube-apiserver's own access review. */
export class DirectPort {
  readonly #env: TestCluster;

  constructor(env: TestCluster) {
    this.#env = env;
  }

  async as(user: Partial<UserInfo> & { username: string }, path: string, call: DirectCall = {}): Promise<Answer> {
    // Bytes: Node writes the headers in front of a text in the text's encoding.
    const body = call.body === undefined ? undefined : Buffer.from(JSON.stringify(call.body));
    const framing =
      body === undefined
        ? []
        : ['Content-Type', call.contentType ?? 'application/json', 'Content-Length', String(body.length)];
    return await https({
      url: `${this.#env.cluster.apiserverUrl}${path}`,
      ca: this.#env.ca,
      ...(await this.#frontProxy()),
      method: call.method ?? 'GET',
      rawHeaders: ['Host', 'localhost', ...identity(user), ...framing, ...(call.rawHeaders ?? [])],
      ...(body === undefined ? {} : { body }),
    });
  }

  /** Sends bytes over a connection of the front proxy's and gives back all that is answered until it is closed. */
  async exchange(text: string): Promise<string> {
    const { host, port } = new URL(this.#env.cluster.apiserverUrl);
    const socket = connect({
      port: Number(port),
      host: host.split(':')[0],
      ca: this.#env.ca,
      ...(await this.#frontProxy()),
    });
    return await heard(socket, text);
  }

  async #frontProxy(): Promise<{ cert: string; key: string }> {
    const { cert, key } = this.#env.cluster.plane.pki.frontProxyClient;
    return { cert: await readFile(cert, 'utf8'), key: await readFile(key, 'utf8') };
  }
}

/** Writes a text and resolves with everything that comes until the other side closes the connection. */
export async function heard(socket: TLSSocket, text: string): Promise<string> {
  let answer = '';
  let isOver = false;
  socket.on('data', (chunk: Buffer) => {
    answer += chunk.toString('latin1');
  });
  socket.on('close', () => {
    isOver = true;
  });
  socket.on('error', () => socket.destroy());
  socket.write(text);
  await until('the connection to be closed', () => isOver, { seen: () => answer });
  return answer;
}

/** A user as headers of kube-apiserver's. */
export function identity({
  username,
  uid,
  groups = [],
  extra = {},
}: Partial<UserInfo> & { username: string }): string[] {
  const bytes = (text: string) => Buffer.from(text).toString('latin1');
  return [
    ...['X-Remote-User', bytes(username)],
    ...(uid === undefined ? [] : ['X-Remote-Uid', uid]),
    ...groups.flatMap((group) => ['X-Remote-Group', bytes(group)]),
    ...Object.entries(extra).flatMap(([key, values]) =>
      values.flatMap((value) => [`X-Remote-Extra-${encodeURIComponent(key)}`, bytes(value)]),
    ),
  ];
}

export const statusOf = ({ text }: Pick<Answer, 'text'>) => JSON.parse(text) as Status;

/** Gives somebody rights in a namespace. */
export async function grant(
  env: TestCluster,
  namespace: string,
  { name, rules, subjects }: { name: string; rules: object[]; subjects: { kind: 'User' | 'Group'; name: string }[] },
): Promise<void> {
  const path = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}`;
  await env.client.request({ method: 'POST', path: `${path}/roles`, body: { metadata: { name }, rules } });
  await env.client.request({
    method: 'POST',
    path: `${path}/rolebindings`,
    body: {
      metadata: { name },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
      subjects: subjects.map((subject) => ({ apiGroup: 'rbac.authorization.k8s.io', ...subject })),
    },
  });
}
