import type { KubeClient } from '../../../../apis/client/transport.ts';
import { hasReason } from '../../../../apis/machinery/errors.ts';
import type { Log } from '../../../../apis/runtime/log.ts';
import type { EventRecorder } from '../api/events.ts';
import { identityOf, type Pod, podPath } from '../api/pod.ts';
import { WriteQueue } from '../api/write-queue.ts';
import { hasProcess, type ImageMap } from '../images.ts';
import { timestamp } from '../time.ts';
import { type SchedulableNode, unfitness } from './fit.ts';

/** Bindings under way at once. */
const width = 16;
const component = 'default-scheduler';

export interface SchedulerOptions {
  client: KubeClient;
  events: EventRecorder;
  images: ImageMap;
  /** The only node there is, as it was when it registered. */
  node: SchedulableNode;
  log: Log;
}

/** Stands in for kube-scheduler: binds Pods that have no node to the only one there is, or says why not. */
export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #writes: WriteQueue;

  constructor(options: SchedulerOptions) {
    this.#options = options;
    this.#writes = new WriteQueue({ width, log: options.log });
  }

  /** Takes a Pod that has no node yet. */
  consider(pod: Pod): void {
    const { uid } = identityOf(pod);
    const { schedulerName, schedulingGates = [] } = pod.spec;
    if (schedulerName !== component || schedulingGates.length > 0) return;
    if (pod.metadata.deletionTimestamp !== undefined) return;
    const { node } = this.#options;
    const problem = unfitness(pod, node);
    this.#writes.put(uid, (signal) =>
      problem === undefined ? this.#bind(pod, node.name, signal) : this.#refuse(pod, problem, signal),
    );
  }

  async stop(): Promise<void> {
    await this.#writes.stop();
  }

  async #bind(pod: Pod, nodeName: string, signal: AbortSignal): Promise<void> {
    const identity = identityOf(pod);
    const { namespace, name, uid } = identity;
    const at = Date.now();
    const written = await this.#unlessGone(() =>
      this.#options.client.request({
        method: 'POST',
        path: `${podPath(identity)}/binding`,
        signal,
        body: {
          apiVersion: 'v1',
          kind: 'Binding',
          metadata: { namespace, name, uid },
          target: { apiVersion: 'v1', kind: 'Node', name: nodeName },
        },
      }),
    );
    // Pods without a process come by the thousand and get no Events.
    if (!written || !hasProcess(pod, this.#options.images)) return;
    const message = `Successfully assigned ${namespace}/${name} to ${nodeName}`;
    this.#options.events.record(identity, { type: 'Normal', reason: 'Scheduled', message, component, at });
  }

  async #refuse(pod: Pod, message: string, signal: AbortSignal): Promise<void> {
    const identity = identityOf(pod);
    const before = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled');
    if (before?.reason === 'Unschedulable' && before.message === message) return;
    this.#options.events.record(identity, { type: 'Warning', reason: 'FailedScheduling', message, component });
    const condition = {
      type: 'PodScheduled',
      status: 'False',
      reason: 'Unschedulable',
      message,
      lastTransitionTime: before?.status === 'False' ? before.lastTransitionTime : timestamp(Date.now()),
    };
    await this.#unlessGone(() =>
      this.#options.client.request({
        method: 'PATCH',
        path: `${podPath(identity)}/status`,
        contentType: 'application/strategic-merge-patch+json',
        signal,
        body: { metadata: { uid: identity.uid }, status: { conditions: [condition] } },
      }),
    );
  }

  /** Returns false when the Pod was deleted, replaced or bound by somebody else meanwhile. */
  async #unlessGone(write: () => Promise<unknown>): Promise<boolean> {
    try {
      await write();
      return true;
    } catch (error) {
      if (hasReason(error, 'NotFound', 'Conflict')) return false;
      throw error;
    }
  }
}
