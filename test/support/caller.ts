import type { Session, SessionSpec } from '../../apis/v1alpha1/types.ts';
import type { TestCluster } from './cluster.ts';
import { until } from './until.ts';

const account = 'caller';

/** Path of a namespace's sessions. */
export function sessionsPath(namespace: string): string {
  return `/apis/sojourn.dev/v1alpha1/namespaces/${namespace}/sessions`;
}

/** A token of a ServiceAccount that may use sessions in a namespace. */
export async function callerToken(env: TestCluster, namespace: string): Promise<string> {
  await env.kubectl(['create', 'serviceaccount', account, '-n', namespace]);
  const binding = ['create', 'rolebinding', account, '-n', namespace, '--clusterrole=sojourn-session-user'];
  await env.kubectl([...binding, `--serviceaccount=${namespace}:${account}`]);
  return (await env.kubectl(['create', 'token', account, '-n', namespace])).stdout.trim();
}

export interface NewSession {
  name: string;
  kind?: 'CodeInterpreter' | 'AgentRuntime';
  runtime: string;
  /** What it has besides its runtime. */
  spec?: Partial<SessionSpec>;
}

/** Creates a session as the admin and waits until it is Ready. */
export async function readySession(
  env: TestCluster,
  namespace: string,
  { name, kind = 'CodeInterpreter', runtime, spec }: NewSession,
): Promise<Session> {
  const path = sessionsPath(namespace);
  const body = {
    apiVersion: 'sojourn.dev/v1alpha1',
    kind: 'Session',
    metadata: { name },
    spec: { ...spec, runtimeRef: { kind, name: runtime } },
  };
  await env.client.request({ method: 'POST', path, body });
  return await until(`session ${name} to be ready`, async () => {
    const session = await env.client.request<Session>({ path: `${path}/${name}` });
    return session.status?.phase === 'Ready' ? session : undefined;
  });
}
