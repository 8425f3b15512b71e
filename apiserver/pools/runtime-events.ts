import { hostname } from 'node:os';
import type { Runtime } from '../../apis/agentcube/runtime.ts';
import type { KubeClient } from '../../apis/client/transport.ts';
import { hasReason } from '../../apis/machinery/errors.ts';
import { formatTime } from '../../apis/machinery/time.ts';
import { accounts, runtimeApi } from '../../apis/names.ts';
import type { Log } from '../../apis/runtime/log.ts';

export interface RuntimeEvent {
  type: 'Normal' | 'Warning';
  reason: 'PoolCreated' | 'PoolReplaced' | 'PoolResized' | 'PoolDeleted' | 'InvalidRuntime' | 'WarmPoolNotReady';
  message: string;
  /** Of an Event that several processes write, so that the first one wins; one of its own when absent. */
  name?: string;
}

/** Which runtime an Event is about; it may be gone. */
export type RuntimeIdentity = Pick<Runtime, 'kind' | 'namespace' | 'name' | 'uid'>;

/** Writes Events on runtimes. An Event is news, not state: one that cannot be written is only logged. */
export class RuntimeEvents {
  readonly #client: KubeClient;
  readonly #log: Log;

  constructor(client: KubeClient, log: Log) {
    this.#client = client;
    this.#log = log;
  }

  async write(runtime: RuntimeIdentity, { type, reason, message, name: eventName }: RuntimeEvent): Promise<void> {
    const { kind, namespace, name, uid } = runtime;
    const time = formatTime(Date.now());
    try {
      await this.#client.request({
        method: 'POST',
        path: `/api/v1/namespaces/${encodeURIComponent(namespace)}/events`,
        body: {
          apiVersion: 'v1',
          kind: 'Event',
          metadata: {
            ...(eventName === undefined ? { generateName: `${name}.`.slice(0, 58) } : { name: eventName }),
            namespace,
          },
          involvedObject: { apiVersion: runtimeApi.groupVersion, kind, namespace, name, uid },
          type,
          reason,
          message,
          source: { component: accounts.apiserver, host: hostname() },
          reportingComponent: accounts.apiserver,
          reportingInstance: hostname(),
          firstTimestamp: time,
          lastTimestamp: time,
          count: 1,
        },
      });
    } catch (error) {
      if (hasReason(error, 'AlreadyExists') && eventName !== undefined) return;
      // A namespace that is on its way out takes no Events.
      if (!hasReason(error, 'Forbidden', 'NotFound')) this.#log.warn('an Event was not written', { reason, error });
    }
  }
}
