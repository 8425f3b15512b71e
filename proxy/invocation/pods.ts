import { Informer } from '../../apis/client/informer.ts';
import type { KubeClient } from '../../apis/client/transport.ts';
import { findCondition } from '../../apis/machinery/meta.ts';
import { labels, sandboxApi } from '../../apis/names.ts';
import type { Log } from '../../apis/runtime/log.ts';
import type { Failure } from '../../apis/v1alpha1/failure.ts';
import { type FailingPod, podFailure } from './endings/pod-failure.ts';

/** A core/v1 Pod as far as we look into it. */
interface Pod extends FailingPod {
  status?: FailingPod['status'] & { podIP?: string };
}

/** What is kept of a Pod. */
export interface PodRecord {
  namespace: string;
  uid: string;
  /** Name and uid of the Sandbox that controls it; undefined for a Pod of anything else. */
  sandbox: { name: string; uid: string } | undefined;
  address: string | undefined;
  ready: boolean;
  terminating: boolean;
  /** Why it does not run; absent as long as nothing is wrong. */
  failure: Failure | undefined;
}

export interface PodIndexOptions {
  client: KubeClient;
  log: Log;
}

/** A Pod that can be dialled; the same object for as long as nothing about it has changed. */
export type AnsweringPod = PodRecord & { address: string };

/** The Pods that carry our label, by the uid of the Sandbox that controls them. */
export class PodIndex {
  readonly #informer: Informer<Pod, PodRecord>;
  readonly #bySandbox = new Map<string, Map<string, PodRecord>>();
  readonly #listeners = new Set<(sandboxKey: string) => void>();

  constructor({ client, log }: PodIndexOptions) {
    this.#informer = new Informer<Pod, PodRecord>({
      client,
      log,
      path: '/api/v1/pods',
      labelSelector: labels.runtime,
      keep: podRecord,
      onChange: ({ previous, current }) => {
        if (previous !== undefined) this.#remove(previous);
        if (current !== undefined) this.#add(current);
      },
    });
  }

  get synced(): boolean {
    return this.#informer.synced;
  }

  /** Calls a listener with `namespace/name` of a Sandbox after one of its Pods changed; the returned function ends that. */
  onChange(listener: (sandboxKey: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  start(): void {
    this.#informer.start();
  }

  async stop(): Promise<void> {
    await this.#informer.stop();
  }

  /** The Pod of a Sandbox that can answer now: Ready, with an address, and not on its way out. */
  readyPodOf(sandboxUid: string): AnsweringPod | undefined {
    for (const pod of this.#bySandbox.get(sandboxUid)?.values() ?? []) if (canAnswer(pod)) return pod;
    return undefined;
  }

  /** The Pod that a Sandbox has, whatever its state; the one that stays, if another is on its way out. */
  podOf(sandboxUid: string): PodRecord | undefined {
    let leaving: PodRecord | undefined;
    for (const pod of this.#bySandbox.get(sandboxUid)?.values() ?? []) {
      if (!pod.terminating) return pod;
      leaving = pod;
    }
    return leaving;
  }

  #add(pod: PodRecord): void {
    if (pod.sandbox === undefined) return;
    const pods = this.#bySandbox.get(pod.sandbox.uid);
    if (pods === undefined) this.#bySandbox.set(pod.sandbox.uid, new Map([[pod.uid, pod]]));
    else pods.set(pod.uid, pod);
    this.#announce(`${pod.namespace}/${pod.sandbox.name}`);
  }

  #remove(pod: PodRecord): void {
    if (pod.sandbox === undefined) return;
    const pods = this.#bySandbox.get(pod.sandbox.uid);
    pods?.delete(pod.uid);
    if (pods?.size === 0) this.#bySandbox.delete(pod.sandbox.uid);
    this.#announce(`${pod.namespace}/${pod.sandbox.name}`);
  }

  #announce(sandboxKey: string): void {
    for (const listener of this.#listeners) listener(sandboxKey);
  }
}

function canAnswer(pod: PodRecord): pod is AnsweringPod {
  return pod.ready && !pod.terminating && pod.address !== undefined;
}

function podRecord(pod: Pod): PodRecord {
  const { metadata, status } = pod;
  // Only the controller counts: anybody may add a further owner, and a name alone could be another Sandbox's by now.
  const owner = metadata.ownerReferences?.find((reference) => reference.controller === true);
  // The controller gives its Pod the Sandbox's name. Whoever may create Pods can write any owner into one of another name,
  // but not take the name that is in use.
  const isSandbox =
    owner?.kind === sandboxApi.kind &&
    owner.apiVersion.startsWith(`${sandboxApi.group}/`) &&
    owner.name === metadata.name;
  return {
    namespace: metadata.namespace ?? '',
    uid: metadata.uid ?? '',
    sandbox: owner !== undefined && isSandbox ? { name: owner.name, uid: owner.uid } : undefined,
    address: status?.podIP === undefined || status.podIP === '' ? undefined : status.podIP,
    ready: findCondition(status?.conditions, 'Ready')?.status === 'True',
    terminating: metadata.deletionTimestamp !== undefined,
    failure: podFailure(pod),
  };
}
