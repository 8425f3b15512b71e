import { Informer } from '../../apis/client/informer.ts';
import type { KubeClient } from '../../apis/client/transport.ts';
import { labels, poolApi } from '../../apis/names.ts';
import type { Log } from '../../apis/runtime/log.ts';
import { type PoolRecord, readPoolRecord } from '../../apis/v1alpha1/pool-record.ts';
import type { SandboxTemplate, SandboxWarmPool } from '../../apis/v1alpha1/pool-template.ts';
import { sandboxFingerprint } from './fingerprint.ts';
import type { KnownPool } from './pool-plan.ts';

/** What is kept of a pool; one without a record of ours is not ours. */
export interface PoolView extends Omit<KnownPool, 'record' | 'hasTemplate'> {
  namespace: string;
  runtimeName: string;
  /** Of the runtime that owns it. */
  runtimeKind: string | undefined;
  record: PoolRecord | undefined;
  terminating: boolean;
}

interface TemplateView {
  namespace: string;
  runtimeName: string;
  /** Of what is stored, defaults and all, so that it can be compared with a stored member. */
  fingerprint: string;
  /** Whether it is as it was created. */
  pristine: boolean;
}

/** A pool that a session may start from. */
export interface FillingPool extends KnownPool {
  /** Of the sandboxes that its template makes; undefined while the template is not there, or was edited. */
  fingerprint: string | undefined;
}

export interface PoolIndexOptions {
  client: KubeClient;
  log: Log;
  /** Called when something of the pools of a runtime changed. */
  onChange: (namespace: string, runtimeName: string) => void;
  /** Called with a pool that is gone. */
  onGone: (pool: PoolView) => void;
}

/** Our pools and their templates, from watches on our label. */
export class PoolIndex {
  readonly #pools: Informer<SandboxWarmPool, PoolView>;
  readonly #templates: Informer<SandboxTemplate, TemplateView>;
  readonly #byRuntime = new Map<string, Set<string>>();

  constructor({ client, log, onChange, onGone }: PoolIndexOptions) {
    const common = { client, log, labelSelector: labels.runtime };
    this.#pools = new Informer<SandboxWarmPool, PoolView>({
      ...common,
      path: `${poolApi.path}/${poolApi.pool.resource}`,
      keep: poolView,
      onChange: ({ previous, current }) => {
        if (previous !== undefined) this.#forget(previous);
        if (current !== undefined) this.#namesOf(runtimeKey(current)).add(current.name);
        for (const view of [previous, current]) if (view !== undefined) onChange(view.namespace, view.runtimeName);
        if (previous !== undefined && previous.uid !== current?.uid) onGone(previous);
      },
    });
    this.#templates = new Informer<SandboxTemplate, TemplateView>({
      ...common,
      path: `${poolApi.path}/${poolApi.template.resource}`,
      keep: templateView,
      onChange: ({ previous, current }) => {
        const view = current ?? previous;
        if (view !== undefined) onChange(view.namespace, view.runtimeName);
      },
    });
  }

  get synced(): boolean {
    return this.#pools.synced && this.#templates.synced;
  }

  /** Resolves with the first lists delivered; never rejects. */
  get firstSync(): Promise<unknown> {
    return Promise.all([this.#pools.firstSync, this.#templates.firstSync]);
  }

  start(): void {
    this.#pools.start();
    this.#templates.start();
  }

  async stop(): Promise<void> {
    await Promise.all([this.#pools.stop(), this.#templates.stop()]);
  }

  /** The pools of a runtime that are there to stay, in no order. */
  poolsOf(runtime: { namespace: string; name: string; uid: string }): FillingPool[] {
    const found: FillingPool[] = [];
    for (const name of this.#byRuntime.get(`${runtime.namespace}/${runtime.name}`) ?? []) {
      const pool = this.#pools.get(runtime.namespace, name);
      if (pool?.record?.runtime.uid !== runtime.uid || pool.terminating) continue;
      const template = this.#templates.get(runtime.namespace, name);
      found.push({
        ...pool,
        record: pool.record,
        hasTemplate: template !== undefined,
        fingerprint: template?.pristine === true ? template.fingerprint : undefined,
      });
    }
    return found;
  }

  #forget(pool: PoolView): void {
    const names = this.#byRuntime.get(runtimeKey(pool));
    names?.delete(pool.name);
    if (names?.size === 0) this.#byRuntime.delete(runtimeKey(pool));
  }

  #namesOf(key: string): Set<string> {
    const names = this.#byRuntime.get(key) ?? new Set();
    this.#byRuntime.set(key, names);
    return names;
  }
}

function runtimeKey({ namespace, runtimeName }: PoolView): string {
  return `${namespace}/${runtimeName}`;
}

function poolView(pool: SandboxWarmPool): PoolView {
  const { metadata, spec, status } = pool;
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name ?? '',
    uid: metadata.uid ?? '',
    resourceVersion: metadata.resourceVersion ?? '',
    runtimeName: metadata.labels?.[labels.runtime] ?? '',
    runtimeKind: metadata.ownerReferences?.find(({ controller }) => controller === true)?.kind,
    record: readPoolRecord(pool),
    replicas: spec.replicas,
    ready: status?.readyReplicas ?? 0,
    createdAt: Date.parse(metadata.creationTimestamp ?? ''),
    terminating: metadata.deletionTimestamp !== undefined,
  };
}

function templateView({ metadata, spec }: SandboxTemplate): TemplateView {
  return {
    namespace: metadata.namespace ?? '',
    runtimeName: metadata.labels?.[labels.runtime] ?? '',
    fingerprint: sandboxFingerprint(spec),
    pristine: metadata.generation === 1 && metadata.deletionTimestamp === undefined,
  };
}
