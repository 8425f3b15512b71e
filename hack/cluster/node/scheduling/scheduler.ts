import type { KubeClient } from '../../../../apis/client/transport.ts';
import { hasReason } from '../../../../apis/machinery/errors.ts';
import type { Log } from '../../../../apis/runtime/log.ts';
import type { EventRecorder } from '../api/events.ts';
import { identityOf, type Pod, podPath } from '../api/pod.ts';
import { WriteQueue } from '../api/write-queue.ts';
import { hasProcess, type ImageMap } from '../images.ts';
import { timestamp } from '../time.ts';
import type { Claim, ClaimTable } from '../volumes/claims.ts';
import { selectedNodeAnnotation } from '../volumes/provisioner.ts';
import { claimNamesOf, judgeClaims } from './claim-check.ts';
import { type SchedulableNode, unfitness, unschedulable } from './fit.ts';

/** Bindings under way at once. */
const width = 16;
const component = 'default-scheduler';

export interface SchedulerOptions {
  client: KubeClient;
  events: EventRecorder;
  images: ImageMap;
  /** The only node there is, as it was when it registered. */
  node: SchedulableNode;
  claims: ClaimTable;
  log: Log;
}

/** Stands in for kube-scheduler: binds Pods that have no node to the only one there is, or says why not. */
export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #writes: WriteQueue;
  /** Pods that cannot be bound before one of their claims has changed, by uid. */
  readonly #waiting = new Map<string, Pod>();
  readonly #ends: (() => void)[];

  constructor(options: SchedulerOptions) {
    const { claims, log } = options;
    this.#options = options;
    this.#writes = new WriteQueue({ width, log });
    this.#ends = [
      claims.onClaim(({ previous, current }) => this.#claimChanged((current ?? previous)?.metadata)),
      claims.onVolume(({ previous, current }) => this.#claimChanged((current ?? previous)?.spec.claimRef)),
      claims.onStorageClass(() => this.#claimChanged(undefined)),
    ];
  }

  /** Takes a Pod that has no node yet. */
  consider(pod: Pod): void {
    const { uid } = identityOf(pod);
    this.#waiting.delete(uid);
    const { schedulerName, schedulingGates = [] } = pod.spec;
    if (schedulerName !== component || schedulingGates.length > 0) return;
    if (pod.metadata.deletionTimestamp !== undefined) return;
    const { node, claims } = this.#options;
    const unfit = unfitness(pod, node);
    if (unfit !== undefined) {
      this.#put(uid, (signal) => this.#refuse(pod, unschedulable(unfit), signal));
      return;
    }
    const verdict = judgeClaims(pod, claims);
    if (verdict.kind === 'bound') {
      this.#put(uid, (signal) => this.#bind(pod, node.name, signal));
      return;
    }
    this.#waiting.set(uid, pod);
    if (verdict.kind === 'refused') {
      this.#put(uid, (signal) => this.#refuse(pod, unschedulable(verdict.reason), signal));
    } else for (const claim of verdict.undecided) this.#choose(claim);
  }

  /** The Pod is gone or has a node. */
  forget(uid: string): void {
    this.#waiting.delete(uid);
  }

  async stop(): Promise<void> {
    for (const end of this.#ends) end();
    await this.#writes.stop();
  }

  #put(uid: string, write: (signal: AbortSignal) => Promise<void>): void {
    this.#writes.put(uid, write);
  }

  /** Looks again at the Pods that wait for a claim, or at all that wait for any. */
  #claimChanged(claim: { namespace?: string; name?: string } | undefined): void {
    for (const pod of [...this.#waiting.values()]) {
      const waitsForIt =
        claim === undefined ||
        (claim.namespace === pod.metadata.namespace && claimNamesOf(pod).includes(claim.name ?? ''));
      if (waitsForIt) this.consider(pod);
    }
  }

  /** Tells kube-controller-manager and the provisioner for which node a claim is to be bound. */
  #choose(claim: Claim): void {
    const { namespace = '', name = '', uid, annotations = {} } = claim.metadata;
    const { client, node } = this.#options;
    if ((claim.spec.volumeName ?? '') !== '' || annotations[selectedNodeAnnotation] === node.name) return;
    this.#writes.put(`claims/${uid}`, async (signal) => {
      await this.#unlessGone(() =>
        client.request({
          method: 'PATCH',
          path: `/api/v1/namespaces/${encodeURIComponent(namespace)}/persistentvolumeclaims/${encodeURIComponent(name)}`,
          contentType: 'application/merge-patch+json',
          signal,
          body: { metadata: { uid, annotations: { [selectedNodeAnnotation]: node.name } } },
        }),
      );
    });
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
