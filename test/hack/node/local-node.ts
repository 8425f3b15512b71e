import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLog } from '../../../apis/runtime/log.ts';
import type { Pod, PodSpec, PodStatus } from '../../../hack/cluster/node/api/pod.ts';
import { localImages } from '../../../hack/cluster/node/images.ts';
import { type LocalNode, type NodeOptions, startNode } from '../../../hack/cluster/node/node.ts';
import { type TestControlPlane, useControlPlane, useNamespace } from '../../support/control-plane.ts';
import { until } from '../../support/until.ts';

export interface StoredPod extends Pod {
  metadata: Pod['metadata'] & { name: string; namespace: string; uid: string };
  status: PodStatus;
}

/** A node for one suite, with the control plane and a namespace to use it in. */
export interface NodeFixture {
  readonly plane: TestControlPlane;
  readonly namespace: string;
  readonly node: LocalNode;
  /** Folder of the node. */
  readonly dir: string;
  /** Everything that the node has logged, as text. */
  readonly logged: string[];
  /** Ends the node and, after `between`, starts it again in its folder. */
  restart(between?: () => Promise<void>): Promise<void>;
  /** Creates a Pod with one container, by default `main` of image local/process. */
  create(name: string, container: Record<string, unknown>, spec?: Partial<PodSpec>): Promise<StoredPod>;
  get(name: string): Promise<StoredPod>;
  /** The Pod as soon as it is as wanted. */
  podThat(name: string, what: string, holds: (pod: StoredPod) => boolean | undefined): Promise<StoredPod>;
  gone(name: string): Promise<void>;
  /** Waits for an Event about a Pod; `message` is a part of it. */
  told(name: string, reason: string, message?: string): Promise<void>;
  kubectl(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }>;
}

/** Runs a shell script as the container `main`. */
export function shell(script: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  return { command: ['/bin/sh', '-c', script], ...more };
}

export const isReady = ({ status }: StoredPod) =>
  status.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True');

/** Registers the hooks of a suite; everything may be used from its `before` hooks on. */
export function useLocalNode(settings: Pick<NodeOptions, 'backoff'> = {}): NodeFixture {
  const plane = useControlPlane();
  const namespace = useNamespace(plane);
  const logged: string[] = [];
  let dir = '';
  let node: LocalNode | undefined;
  const start = async () => {
    node = await startNode({
      ...settings,
      cluster: await plane.clusterConfig('node'),
      dir,
      serving: await plane.servingCerts(),
      images: localImages({ daemon: [process.execPath, '-e', 'setInterval(() => undefined, 1000)'] }),
      log: createLog({ level: 'debug', write: (line) => logged.push(line) }),
    });
  };
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'sojourn-node-'));
    await start();
  });
  after(async () => {
    await node?.stop();
    await rm(dir, { recursive: true, force: true, maxRetries: 5 });
  });
  const path = (name = '') => `/api/v1/namespaces/${namespace.name}/pods${name === '' ? '' : `/${name}`}`;
  const get = async (name: string) => await plane.client.request<StoredPod>({ path: path(name) });
  return {
    plane,
    logged,
    get,
    get namespace() {
      return namespace.name;
    },
    get node() {
      if (node === undefined) throw new Error('the node is there from the suite’s before hooks on');
      return node;
    },
    get dir() {
      return dir;
    },
    restart: async (between = async () => undefined) => {
      await node?.stop();
      await between();
      await start();
    },
    create: async (name, container, spec = {}) => {
      const containers = [{ name: 'main', image: 'local/process', ...container }];
      const body = { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec: { containers, ...spec } };
      return await plane.client.request<StoredPod>({ method: 'POST', path: path(), body });
    },
    podThat: async (name, what, holds) => {
      let last: StoredPod | undefined;
      const seen = () => last?.status;
      return await until(
        `Pod ${name} ${what}`,
        async () => {
          last = await get(name);
          return holds(last) === true ? last : undefined;
        },
        { seen },
      );
    },
    gone: async (name) => {
      const answer = async () => await plane.client.requestRaw({ path: path(name) });
      await until(`Pod ${name} to be gone`, async () => (await answer()).status === 404);
    },
    told: async (name, reason, message = '') => {
      const query = { fieldSelector: `involvedObject.name=${name},reason=${reason}` };
      let messages: string[] = [];
      await until(
        `the Event ${reason} "${message}" about ${name}`,
        async () => {
          const list = { path: `/api/v1/namespaces/${namespace.name}/events`, query };
          const { items } = await plane.client.request<{ items: { message: string }[] }>(list);
          messages = items.map((item) => item.message);
          return messages.some((text) => text.includes(message));
        },
        { seen: () => messages },
      );
    },
    kubectl: async (...args) => await plane.kubectl(['-n', namespace.name, ...args]),
  };
}
