import { Reflector } from '../../apis/client/reflector.ts';
import type { KubeClient } from '../../apis/client/transport.ts';
import { sandboxApi } from '../../apis/names.ts';
import type { Log } from '../../apis/runtime/log.ts';
import type { Sandbox } from '../../apis/v1alpha1/sandbox.ts';
import { sessionUid } from '../../apis/v1alpha1/uid.ts';

/** How a session's Sandbox went away, as a bystander saw it. */
export interface Departure {
  /** Milliseconds since the epoch, by this process's clock. */
  seenAt: number;
  last: Sandbox;
}

/** A bystander who watches every Sandbox of a namespace and remembers how each went away. */
export class Observer {
  readonly departures = new Map<string, Departure>();
  readonly #present = new Map<string, Sandbox>();
  readonly #reflector: Reflector<Sandbox, Sandbox>;

  constructor(client: KubeClient, namespace: string, log: Log) {
    this.#reflector = new Reflector<Sandbox, Sandbox>({
      client,
      log,
      keep: (sandbox) => sandbox,
      path: `${sandboxApi.path}/namespaces/${namespace}/${sandboxApi.resource}`,
      sink: {
        replaced: (items) => this.#replaced(items),
        changed: ({ type, object }) => (type === 'DELETED' ? this.#gone(object) : this.#seen(object)),
      },
    });
  }

  async start(): Promise<void> {
    this.#reflector.start();
    await this.#reflector.firstSync;
  }

  async stop(): Promise<void> {
    await this.#reflector.stop();
  }

  #replaced(items: readonly Sandbox[]): void {
    const gone = new Map(this.#present);
    for (const item of items) {
      gone.delete(item.metadata.uid ?? '');
      this.#seen(item);
    }
    for (const sandbox of gone.values()) this.#gone(sandbox);
  }

  #seen(sandbox: Sandbox): void {
    this.#present.set(sandbox.metadata.uid ?? '', sandbox);
  }

  #gone(last: Sandbox): void {
    const uid = last.metadata.uid ?? '';
    this.#present.delete(uid);
    this.departures.set(sessionUid(uid), { seenAt: Date.now(), last });
  }
}
