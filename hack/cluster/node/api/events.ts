import { LRUCache } from 'lru-cache';
import type { KubeClient } from '../../../../apis/client/transport.ts';
import { hasReason } from '../../../../apis/machinery/errors.ts';
import type { Log } from '../../../../apis/runtime/log.ts';
import { timestamp } from '../time.ts';
import type { PodIdentity } from './pod.ts';
import { WriteQueue } from './write-queue.ts';

/** What is remembered to count a repeated Event instead of writing another one; kubelet's recorder keeps as many. */
const remembered = 4096;
/** A repeated Event is written again at most this often; the repetitions in between are counted. */
const repeatIntervalMs = 10_000;

export interface PodEvent {
  type: 'Normal' | 'Warning';
  reason: string;
  message: string;
  component: 'kubelet' | 'default-scheduler';
  /** Name of the container that the Event is about. */
  container?: string;
  /** When it happened, if that was earlier (milliseconds since 1970). */
  at?: number;
}

interface Recorded {
  name: string;
  count: number;
  writtenAt: number;
}

/** Writes core/v1 Events about Pods. They are dropped rather than ever holding anything up. */
export class EventRecorder {
  readonly #client: KubeClient;
  readonly #host: string;
  readonly #log: Log;
  readonly #queue: WriteQueue;
  #sequence = 0;
  readonly #recorded = new LRUCache<string, Recorded>({ max: remembered });

  constructor(options: { client: KubeClient; nodeName: string; log: Log }) {
    this.#client = options.client;
    this.#host = options.nodeName;
    this.#log = options.log;
    this.#queue = new WriteQueue({ width: 4, capacity: 1000, log: options.log });
  }

  record(pod: PodIdentity, event: PodEvent): void {
    const key = `${pod.uid}/${event.component}/${event.container ?? ''}/${event.reason}/${event.message}`;
    const now = event.at ?? Date.now();
    const recorded = this.#recorded.get(key);
    if (recorded === undefined) {
      const name = `${pod.name}.${this.#nextSuffix(now)}`;
      this.#recorded.set(key, { name, count: 1, writtenAt: now });
      this.#put(`${pod.namespace}/${name}`, (signal) => this.#create(pod, event, { name, now, signal }));
      return;
    }
    recorded.count++;
    if (now - recorded.writtenAt < repeatIntervalMs) return;
    recorded.writtenAt = now;
    this.#put(`${pod.namespace}/${recorded.name}`, (signal) => this.#count(pod, recorded, signal));
  }

  async stop(): Promise<void> {
    await this.#queue.stop();
  }

  /** Grows with time, so that Events of one second are listed as they happened; client-go's are nanoseconds too. */
  #nextSuffix(milliseconds: number): string {
    this.#sequence = (this.#sequence + 1) % 1_000_000;
    return (BigInt(milliseconds) * 1_000_000n + BigInt(this.#sequence)).toString(16);
  }

  #put(key: string, write: (signal: AbortSignal) => Promise<void>): void {
    this.#queue.put(key, async (signal) => {
      try {
        await write(signal);
      } catch (error) {
        // A namespace that is going away takes no Events; one that expired is simply no longer counted.
        if (!hasReason(error, 'Forbidden', 'NotFound')) throw error;
        this.#log.debug('an Event was refused', { event: key, error });
      }
    });
  }

  async #create(
    pod: PodIdentity,
    event: PodEvent,
    options: { name: string; now: number; signal: AbortSignal },
  ): Promise<void> {
    const { type, reason, message, component, container } = event;
    const time = timestamp(options.now);
    await this.#client.request({
      method: 'POST',
      path: collection(pod),
      signal: options.signal,
      body: {
        apiVersion: 'v1',
        kind: 'Event',
        metadata: { name: options.name, namespace: pod.namespace },
        involvedObject: {
          apiVersion: 'v1',
          kind: 'Pod',
          namespace: pod.namespace,
          name: pod.name,
          uid: pod.uid,
          ...(container === undefined ? {} : { fieldPath: `spec.containers{${container}}` }),
        },
        type,
        reason,
        // kube-apiserver refuses longer ones.
        message: message.slice(0, 1024),
        source: { component, host: this.#host },
        reportingComponent: component,
        reportingInstance: this.#host,
        firstTimestamp: time,
        lastTimestamp: time,
        count: 1,
      },
    });
  }

  async #count(pod: PodIdentity, recorded: Recorded, signal: AbortSignal): Promise<void> {
    await this.#client.request({
      method: 'PATCH',
      path: `${collection(pod)}/${recorded.name}`,
      contentType: 'application/merge-patch+json',
      signal,
      body: { count: recorded.count, lastTimestamp: timestamp(Date.now()) },
    });
  }
}

function collection(pod: PodIdentity): string {
  return `/api/v1/namespaces/${encodeURIComponent(pod.namespace)}/events`;
}
