import type { KubeList, ObjectMeta } from '../../apis/machinery/meta.ts';
import type { Session, SessionSpec } from '../../apis/v1alpha1/types.ts';
import { accountUser } from '../../hack/cluster/session-users.ts';
import type { TestCluster } from './cluster.ts';
import { untilMayCall } from './rights.ts';
import { until } from './until.ts';

const account = 'caller';

export type SessionList = KubeList<Session>;

/** Path of a namespace's sessions. */
export function sessionsPath(namespace: string): string {
  return `/apis/sojourn.dev/v1alpha1/namespaces/${namespace}/sessions`;
}

/** A token of a ServiceAccount that may use sessions in a namespace. */
export async function callerToken(env: TestCluster, namespace: string): Promise<string> {
  await env.kubectl(['create', 'serviceaccount', account, '-n', namespace]);
  const binding = ['create', 'rolebinding', account, '-n', namespace, '--clusterrole=sojourn-session-user'];
  await env.kubectl([...binding, `--serviceaccount=${namespace}:${account}`]);
  await untilMayCall(env.client, { user: accountUser(namespace, account), namespace });
  return (await env.kubectl(['create', 'token', account, '-n', namespace])).stdout.trim();
}

export interface NewSession {
  name: string;
  kind?: 'CodeInterpreter' | 'AgentRuntime';
  runtime: string;
  /** What it has besides its name. */
  metadata?: ObjectMeta;
  /** What it has besides its runtime. */
  spec?: Partial<SessionSpec>;
}

/** Creates a session as the admin. */
export async function createSession(
  env: TestCluster,
  namespace: string,
  { name, kind = 'CodeInterpreter', runtime, metadata, spec }: NewSession,
): Promise<Session> {
  return await env.client.request<Session>({
    method: 'POST',
    path: sessionsPath(namespace),
    body: {
      apiVersion: 'sojourn.dev/v1alpha1',
      kind: 'Session',
      metadata: { ...metadata, name },
      spec: { ...spec, runtimeRef: { kind, name: runtime } },
    },
  });
}

/** Creates a session as the admin and waits until it is Ready. */
export async function readySession(env: TestCluster, namespace: string, session: NewSession): Promise<Session> {
  await createSession(env, namespace, session);
  return await untilReady(env, namespace, session.name);
}

/** Waits until a session is Ready. */
export async function untilReady(env: TestCluster, namespace: string, name: string): Promise<Session> {
  return await until(`session ${name} to be ready`, async () => {
    const session = await env.client.request<Session>({ path: `${sessionsPath(namespace)}/${name}` });
    return session.status?.phase === 'Ready' ? session : undefined;
  });
}
