import { type Runtime, readRuntime, runtimeResources } from '../../apis/agentcube/runtime.ts';
import type { RuntimeStatus } from '../../apis/agentcube/runtime-status.ts';
import { Informer } from '../../apis/client/informer.ts';
import type { KubeClient } from '../../apis/client/transport.ts';
import { hasReason } from '../../apis/machinery/errors.ts';
import type { KubeObject } from '../../apis/machinery/meta.ts';
import { runtimeApi } from '../../apis/names.ts';
import type { Log } from '../../apis/runtime/log.ts';
import { type RuntimeKind, runtimeKinds } from '../../apis/v1alpha1/types.ts';

/** A runtime with what is stored beside its spec. */
export interface RuntimeView {
  runtime: Runtime;
  resourceVersion: string;
  status: RuntimeStatus;
  terminating: boolean;
}

/** Which runtime: the key of everything that is kept of it. */
export interface RuntimeRef {
  kind: RuntimeKind;
  namespace: string;
  name: string;
}

type StoredRuntime = KubeObject & { status?: RuntimeStatus };

export interface RuntimeIndexOptions {
  client: KubeClient;
  log: Log;
  onChange: (ref: RuntimeRef) => void;
}

/** All runtimes of both kinds, from watches. */
export class RuntimeIndex {
  readonly #client: KubeClient;
  readonly #informers: ReadonlyMap<RuntimeKind, Informer<StoredRuntime, RuntimeView>>;

  constructor({ client, log, onChange }: RuntimeIndexOptions) {
    this.#client = client;
    const informer = (kind: RuntimeKind) =>
      new Informer<StoredRuntime, RuntimeView>({
        client,
        log,
        path: `${runtimeApi.path}/${runtimeResources[kind]}`,
        keep: (object) => runtimeView(kind, object),
        onChange: ({ previous, current }) => {
          const view = current ?? previous;
          if (view !== undefined) onChange(view.runtime);
        },
      });
    this.#informers = new Map(runtimeKinds.map((kind) => [kind, informer(kind)]));
  }

  get synced(): boolean {
    return [...this.#informers.values()].every(({ synced }) => synced);
  }

  start(): void {
    for (const informer of this.#informers.values()) informer.start();
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#informers.values()].map((informer) => informer.stop()));
  }

  get({ kind, namespace, name }: RuntimeRef): RuntimeView | undefined {
    return this.#informers.get(kind)?.get(namespace, name);
  }

  refs(): RuntimeRef[] {
    return [...this.#informers.values()].flatMap((informer) => [...informer.values()].map(({ runtime }) => runtime));
  }

  /**
   * The runtime as it is now; undefined when there is none.
   * @throws ApiError whatever else kube-apiserver answers.
   */
  async read(ref: RuntimeRef): Promise<RuntimeView | undefined> {
    try {
      return runtimeView(ref.kind, await this.#client.request<StoredRuntime>({ path: runtimePath(ref) }));
    } catch (error) {
      if (hasReason(error, 'NotFound')) return undefined;
      throw error;
    }
  }
}

/** Path of a runtime. */
export function runtimePath({ kind, namespace, name }: RuntimeRef): string {
  const [space, object] = [encodeURIComponent(namespace), encodeURIComponent(name)];
  return `${runtimeApi.path}/namespaces/${space}/${runtimeResources[kind]}/${object}`;
}

function runtimeView(kind: RuntimeKind, object: StoredRuntime): RuntimeView {
  return {
    runtime: readRuntime(kind, object),
    resourceVersion: object.metadata.resourceVersion ?? '',
    status: object.status ?? {},
    terminating: object.metadata.deletionTimestamp !== undefined,
  };
}
