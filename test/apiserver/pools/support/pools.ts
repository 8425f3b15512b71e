import { expect } from 'chai';
import type { RuntimeStatus } from '../../../../apis/agentcube/runtime-status.ts';
import type { KubeClient, KubeResponse } from '../../../../apis/client/transport.ts';
import { findCondition, type KubeList, type KubeObject } from '../../../../apis/machinery/meta.ts';
import { poolApi, sandboxApi } from '../../../../apis/names.ts';
import type { SandboxTemplate, SandboxWarmPool } from '../../../../apis/v1alpha1/pool-template.ts';
import type { Sandbox } from '../../../../apis/v1alpha1/sandbox.ts';
import type { Session } from '../../../../apis/v1alpha1/types.ts';
import { createRuntime, runtimesPath } from '../../../../hack/cluster/runtimes.ts';
import { until } from '../../../support/until.ts';

export interface PooledRuntime {
  name: string;
  size?: number;
  /** `local/none` when absent: Ready without a process. */
  image?: string;
  authMode?: 'sojourn' | 'picod' | 'none';
  annotations?: Record<string, string>;
  sessionTimeout?: string;
  /** What its template has besides the image. */
  template?: object;
}

/** What was told of a runtime. */
export interface RuntimeEvent {
  involvedObject: { kind: string; name: string };
  reason: string;
  message: string;
}

/** One namespace's runtimes, pools and members, as its admin sees them. */
export class Pools {
  readonly #client: () => KubeClient;
  readonly #namespace: () => string;

  constructor(client: () => KubeClient, namespace: () => string) {
    this.#client = client;
    this.#namespace = namespace;
  }

  /** Those of a suite's cluster and namespace, which are there from its before hooks on. */
  static of(env: { readonly client: KubeClient }, space: { readonly name: string }): Pools {
    return new Pools(
      () => env.client,
      () => space.name,
    );
  }

  get sessionsPath(): string {
    return `/apis/sojourn.dev/v1alpha1/namespaces/${this.#namespace()}/sessions`;
  }

  runtimePath(name = ''): string {
    return `${runtimesPath(this.#namespace())}${name && `/${name}`}`;
  }

  poolPath(name = ''): string {
    return `${poolApi.path}/namespaces/${this.#namespace()}/${poolApi.pool.resource}${name && `/${name}`}`;
  }

  sandboxPath(name = ''): string {
    return `${sandboxApi.path}/namespaces/${this.#namespace()}/${sandboxApi.resource}${name && `/${name}`}`;
  }

  async createRuntime({
    name,
    size,
    image,
    authMode,
    annotations,
    sessionTimeout,
    template,
  }: PooledRuntime): Promise<KubeObject> {
    return await createRuntime(this.#client(), this.#namespace(), {
      name,
      metadata: annotations === undefined ? {} : { annotations },
      spec: {
        authMode: authMode ?? 'sojourn',
        template: { image: image ?? 'local/none', ...template },
        ...(size === undefined ? {} : { warmPoolSize: size }),
        ...(sessionTimeout === undefined ? {} : { sessionTimeout }),
      },
    });
  }

  async patchRuntime(name: string, body: object): Promise<KubeObject> {
    return await this.#client().request<KubeObject>({
      method: 'PATCH',
      path: this.runtimePath(name),
      contentType: 'application/merge-patch+json',
      body,
    });
  }

  async status(name: string): Promise<RuntimeStatus> {
    const runtime = await this.#client().request<KubeObject & { status?: RuntimeStatus }>({
      path: this.runtimePath(name),
    });
    return runtime.status ?? {};
  }

  /** The Events of a runtime. */
  async events(runtime: string): Promise<RuntimeEvent[]> {
    const fieldSelector = `involvedObject.kind=CodeInterpreter,involvedObject.name=${runtime}`;
    const path = `/api/v1/namespaces/${this.#namespace()}/events`;
    return (await this.#client().request<KubeList<RuntimeEvent>>({ path, query: { fieldSelector } })).items;
  }

  async deleteRuntime(name: string): Promise<void> {
    await this.#client().request({
      method: 'DELETE',
      path: this.runtimePath(name),
      body: { propagationPolicy: 'Background' },
    });
  }

  /** The pools of a runtime that are not on their way out. */
  async pools(runtime: string): Promise<SandboxWarmPool[]> {
    const list = await this.#client().request<KubeList<SandboxWarmPool>>({
      path: this.poolPath(),
      query: { labelSelector: `sojourn.dev/runtime=${runtime}` },
    });
    return list.items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  }

  async template(name: string): Promise<SandboxTemplate> {
    return await this.#client().request<SandboxTemplate>({
      path: `${poolApi.path}/namespaces/${this.#namespace()}/${poolApi.template.resource}/${name}`,
    });
  }

  /** Every Sandbox of the namespace. */
  async sandboxes(): Promise<Sandbox[]> {
    return (await this.#client().request<KubeList<Sandbox>>({ path: this.sandboxPath() })).items;
  }

  /** Unclaimed members of a pool that are Ready. */
  async readyMembers(pool: SandboxWarmPool): Promise<Sandbox[]> {
    return (await this.sandboxes()).filter(
      ({ metadata, status }) =>
        metadata.labels?.[poolApi.memberLabel] !== undefined &&
        metadata.deletionTimestamp === undefined &&
        metadata.ownerReferences?.some(({ uid }) => uid === pool.metadata.uid) === true &&
        findCondition(status?.conditions, 'Ready')?.status === 'True',
    );
  }

  /** Waits until a runtime has one pool, full of Ready members, and returns it; for so many milliseconds. */
  async full(runtime: string, size: number, deadlineMs = 60_000): Promise<SandboxWarmPool> {
    return await until(
      `the pool of ${runtime} to be full`,
      async () => {
        const [pool, ...others] = await this.pools(runtime);
        if (pool === undefined || others.length > 0) return undefined;
        return (await this.readyMembers(pool)).length === size ? pool : undefined;
      },
      { deadlineMs },
    );
  }

  /** Waits until a runtime has one pool of so many Ready members, each of which the API server knows; returns the pool. */
  async warm(runtime: string, size: number): Promise<SandboxWarmPool> {
    const pool = await until(
      `the pool of ${runtime} to have ${size} Ready members`,
      async () => {
        const [only, ...others] = await this.pools(runtime);
        if (only === undefined || others.length > 0) return undefined;
        return (await this.readyMembers(only)).length >= size ? only : undefined;
      },
      { deadlineMs: 60_000 },
    );
    const known = new Set<string | undefined>();
    await until(`sessions of ${runtime} to start warm`, async () => {
      const { metadata, status } = await this.create(runtime, { query: { dryRun: 'All' } });
      // A dry run takes any of them.
      if (status?.start === 'Warm') known.add(metadata.name);
      return known.size >= size;
    });
    return pool;
  }

  /** Waits for the Events of what became of a runtime's pools, which come after it: those of `reasons`, and no others. */
  async toldOf(runtime: string, reasons: readonly string[]): Promise<void> {
    let seen: string[] = [];
    await until(
      `the Events of the pools of ${runtime}`,
      async () => {
        seen = (await this.events(runtime)).map(({ reason }) => reason).filter((reason) => reason.startsWith('Pool'));
        return seen.length >= reasons.length;
      },
      { seen: () => seen },
    );
    expect(seen).to.have.members(reasons);
  }

  /** A request to create a session, through kube-apiserver. */
  async post(
    runtime: string,
    {
      metadata = { generateName: `${runtime}-` },
      spec = {},
      headers = {},
      query = {},
    }: {
      metadata?: object;
      spec?: object;
      headers?: Record<string, string>;
      query?: Record<string, string>;
    } = {},
  ): Promise<KubeResponse> {
    return await this.#client().requestRaw({
      method: 'POST',
      path: this.sessionsPath,
      query,
      headers,
      body: sessionBody(runtime, metadata, spec),
    });
  }

  async create(runtime: string, options: Parameters<Pools['post']>[1] = {}): Promise<Session> {
    return readSession(await this.post(runtime, options));
  }
}

export function sessionBody(runtime: string, metadata: object, spec: object = {}): object {
  return {
    apiVersion: 'sojourn.dev/v1alpha1',
    kind: 'Session',
    metadata,
    spec: { runtimeRef: { kind: 'CodeInterpreter', name: runtime }, ...spec },
  };
}

/** The Session of an answer, which must be a success. */
export function readSession({ status, body }: { status: number; body: Buffer }): Session {
  const text = body.toString('utf8');
  if (status >= 300) throw new Error(`the create was answered with ${status}: ${text}`);
  return JSON.parse(text) as Session;
}
