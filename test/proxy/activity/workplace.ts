import { join } from 'node:path';
import { loadClusterConfig } from '../../../apis/client/kubeconfig.ts';
import { KubeClient } from '../../../apis/client/transport.ts';
import { sandboxApi } from '../../../apis/names.ts';
import { useCluster } from '../../support/cluster.ts';
import { Cleanup } from '../support/cleanup.ts';
import { type NewTestSession, TestSessions } from '../support/sessions.ts';
import { Replica, type TestClock } from './replica.ts';
import { readStored, type StoredSession } from './stored-session.ts';

/** What suites about activity share: sessions of one namespace, and replicas that use them with the proxy's account. */
export interface ActivityWorkplace {
  /** The client of the proxy's account. */
  readonly client: KubeClient;
  readonly namespace: string;
  readonly sessions: TestSessions;
  /** Creates a session with an idleTimeout of 20 s, unless the spec says otherwise. */
  create(name: string, options: Partial<NewTestSession>): Promise<void>;
  /** The session as kube-apiserver has it. */
  stored(name: string): Promise<StoredSession>;
  /** A replica that is stopped after the test. */
  replica(clock?: TestClock): Replica;
  /** The client of the proxy's account by another way to kube-apiserver; closed after the test. */
  clientAt(server: string): Promise<KubeClient>;
  /** Writes what is none of our business on the Sandbox, as the cluster's admin. */
  foreignWrite(name: string): Promise<void>;
  /** Registers something to stop after the test. */
  add<T extends { stop(): Promise<void> }>(part: T): T;
}

/** Call it inside of a suite. */
export function useActivity(): ActivityWorkplace {
  const env = useCluster();
  const space = env.namespace('activity');
  const cleanup = new Cleanup();
  const sessions = () => new TestSessions(env.client, () => space.name);
  const account = () => env.asAccount('sojourn-proxy');
  return {
    get client() {
      return account();
    },
    get namespace() {
      return space.name;
    },
    get sessions() {
      return sessions();
    },
    create: async (name, options) => {
      const endpoints = [{ pathPrefix: '/', port: 8080, protocol: 'HTTP' as const }];
      await sessions().create({ name, endpoints, ...options, spec: { idleTimeout: '20s', ...options.spec } });
    },
    stored: async (name) => {
      const found = await readStored(account(), space.name, name);
      if (found === undefined) throw new Error(`the session ${name} is gone`);
      return found;
    },
    replica: (clock) => cleanup.add(new Replica(account(), clock)),
    clientAt: async (server) => {
      const file = join(env.cluster.plane.dir, 'components', 'sojourn-proxy.kubeconfig');
      const client = new KubeClient({ ...(await loadClusterConfig(file)), server });
      cleanup.add({ stop: async () => await client.close() });
      return client;
    },
    foreignWrite: async (name) => {
      await env.client.request({
        method: 'PATCH',
        path: `${sandboxApi.path}/namespaces/${space.name}/${sandboxApi.resource}/${name}`,
        contentType: 'application/merge-patch+json',
        body: { metadata: { annotations: { 'example.com/note': name } } },
      });
    },
    add: (part) => cleanup.add(part),
  };
}
