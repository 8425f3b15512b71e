import type { KubeClient } from '../../../../apis/client/transport.ts';
import { hasReason } from '../../../../apis/machinery/errors.ts';
import type { EventRecorder, PodEvent } from '../api/events.ts';
import { identityOf, type Pod, type PodIdentity, type PodStatus, podPath } from '../api/pod.ts';
import type { WriteQueue } from '../api/write-queue.ts';
import { type ContainerEnvironment, ContainerLife } from '../containers/container.ts';
import type { ContainerRole } from '../containers/container-record.ts';
import { hasProcess } from '../images.ts';
import type { AddressPool } from '../machine/addresses.ts';
import { podStatusOf, saysTheSame } from '../status/pod-status.ts';
import { pause, timestamp } from '../time.ts';
import type { ClaimTable } from '../volumes/claims.ts';
import { preparePodVolumes, type VolumeFolders } from '../volumes/pod-volumes.ts';
import { unsupportedWarnings } from './unsupported.ts';

/** kubelet's delays between attempts to mount volumes (k8s.io/kubernetes/pkg/util/goroutinemap/exponentialbackoff). */
const firstMountRetryMs = 500;
const longestMountRetryMs = 122_000;

/** What the node gives to its Pods. */
export interface PodHost extends ContainerEnvironment {
  client: KubeClient;
  hostIP: string;
  addresses: AddressPool;
  claims: ClaimTable;
  events: EventRecorder;
  writes: WriteQueue;
}

/** One Pod of this node from its binding to its end: its address, its containers and what its status says. */
export class PodLife {
  readonly identity: PodIdentity;
  readonly #host: PodHost;
  readonly #init: ContainerLife[];
  readonly #main: ContainerLife[];
  readonly #startTime: string;
  readonly #quiet: boolean;
  #pod: Pod;
  #written: PodStatus;
  #podIP: string | undefined;
  #running: Promise<void> | undefined;
  /** False while containers begin, so that one write tells what became of them all. */
  #visible = false;
  #announced = false;
  readonly #ending = new AbortController();
  #volumes: VolumeFolders = new Map();
  #ended = false;
  #silent = false;

  constructor(pod: Pod, host: PodHost) {
    this.identity = identityOf(pod);
    this.#pod = pod;
    this.#host = host;
    this.#quiet = !hasProcess(pod, host.images);
    this.#written = pod.status ?? {};
    this.#startTime = pod.status?.startTime ?? timestamp(Date.now());
    const wanted = pod.status?.podIP;
    // Claimed before any new Pod can be given it.
    if (wanted !== undefined) this.#podIP = this.#allocate(wanted);
    this.#init = (pod.spec.initContainers ?? []).map(({ name }) => this.#container(name, 'init'));
    this.#main = pod.spec.containers.map(({ name }) => this.#container(name, 'main'));
  }

  get pod(): Pod {
    return this.#pod;
  }

  container(name: string): ContainerLife | undefined {
    return [...this.#init, ...this.#main].find((container) => container.name === name);
  }

  /** Begins to run the Pod, or to end it when that is already asked for. */
  start(): void {
    if (this.#ending.signal.aborted) return;
    if (this.#pod.metadata.deletionTimestamp !== undefined) {
      this.#terminate();
      return;
    }
    this.#running ??= this.#run().catch((error: unknown) => {
      this.#host.log.error('running a Pod failed', { ...this.identity, error });
    });
  }

  /** Takes notice of a changed Pod. */
  update(pod: Pod): void {
    const redefined = this.#pod.metadata.generation !== pod.metadata.generation;
    this.#pod = pod;
    if (pod.metadata.deletionTimestamp !== undefined) {
      this.#terminate();
      return;
    }
    if (redefined) {
      for (const container of this.#main) container.podChanged(this.#graceMs());
      for (const event of unsupportedWarnings(pod)) this.#event(event);
    }
    // Readiness gates are conditions that others write.
    if (redefined || (pod.spec.readinessGates ?? []).length > 0) this.#changed();
  }

  /** The Pod is no more: ends what is left of it at once and gives back what it had. */
  async gone(): Promise<void> {
    this.#silent = true;
    await this.#end(0);
    if (this.#podIP !== undefined) this.#host.addresses.release(this.#podIP);
    if (!this.#quiet) await this.#host.settings.folders.removePod(this.identity.uid);
  }

  /** Ends all processes because the node stops; the Pod itself is to go on when the node starts again. */
  async stop(graceMs: number): Promise<void> {
    this.#silent = true;
    await this.#end(graceMs);
  }

  async #run(): Promise<void> {
    const phase = this.#pod.status?.phase;
    if (phase === 'Succeeded' || phase === 'Failed') return;
    if (!this.#quiet && !(await this.#mount())) return;
    this.#podIP ??= this.#pod.spec.hostNetwork === true ? this.#host.hostIP : this.#allocate();
    for (const event of unsupportedWarnings(this.#pod)) this.#event(event);
    for (const container of this.#init) {
      await this.#runTogether([container]);
      if (this.#ending.signal.aborted || container.record.state.terminated?.exitCode !== 0) return;
    }
    await this.#runTogether(this.#main);
  }

  /** Makes the volumes ready, as often as it takes; false when the Pod is ended before. */
  async #mount(): Promise<boolean> {
    const { settings, claims, client, hostIP } = this.#host;
    const signal = this.#ending.signal;
    const dir = settings.folders.podVolumes(this.identity.uid);
    for (let retryMs = firstMountRetryMs; !signal.aborted; retryMs = Math.min(retryMs * 2, longestMountRetryMs)) {
      try {
        const { allocatable } = settings;
        const addresses = { podIP: this.#podIP ?? '', hostIP };
        this.#volumes = await preparePodVolumes({
          pod: this.#pod,
          addresses,
          dir,
          claims,
          allocatable,
          client,
          signal,
        });
        return true;
      } catch (error) {
        if (signal.aborted) break;
        const message = error instanceof Error ? error.message : String(error);
        this.#event({ type: 'Warning', reason: 'FailedMount', message, component: 'kubelet' });
        this.#visible = true;
        this.#changed();
        await pause(retryMs, signal);
      }
    }
    return false;
  }

  async #runTogether(containers: readonly ContainerLife[]): Promise<void> {
    this.#visible = false;
    const runs: Promise<void>[] = [];
    // One after the other, in the Pod's own order.
    for (const container of containers) {
      runs.push(container.run());
      await container.settled;
    }
    this.#visible = true;
    this.#changed();
    await Promise.all(runs);
    this.#changed();
  }

  /** As kubelet ends a Pod: its processes, then its status, then the object itself. */
  #terminate(): void {
    if (this.#ended || this.#silent) return;
    const ended = this.#end(this.#graceMs()).then(() => {
      if (this.#ended) return;
      this.#ended = true;
      this.#visible = true;
      this.#changed();
    });
    void ended.catch((error: unknown) => {
      this.#host.log.error('ending a Pod failed', { ...this.identity, error });
    });
  }

  async #end(graceMs: number): Promise<void> {
    this.#ending.abort();
    const containers = [...this.#init, ...this.#main];
    await Promise.all(containers.map((container) => container.stop(graceMs)));
    await this.#running;
    if (!this.#quiet) await this.#host.search.killAll([{ uid: this.identity.uid }]);
  }

  #graceMs(): number {
    const { deletionGracePeriodSeconds } = this.#pod.metadata;
    return (deletionGracePeriodSeconds ?? this.#pod.spec.terminationGracePeriodSeconds ?? 30) * 1000;
  }

  #allocate(wanted?: string): string {
    return wanted === this.#host.hostIP ? wanted : this.#host.addresses.allocate(wanted);
  }

  #container(name: string, role: ContainerRole): ContainerLife {
    const { status } = this.#pod;
    const statuses = role === 'init' ? status?.initContainerStatuses : status?.containerStatuses;
    const { settings, images, search, limits, backoff, log } = this.#host;
    return new ContainerLife({
      settings,
      images,
      search,
      limits,
      backoff,
      log,
      name,
      role,
      identity: this.identity,
      previous: statuses?.find((previous) => previous.name === name),
      pod: () => this.#pod,
      addresses: () => ({ podIP: this.#podIP ?? '', hostIP: this.#host.hostIP }),
      volumes: () => this.#volumes,
      graceMs: () => this.#graceMs(),
      onChange: () => this.#changed(),
      event: (event) => this.#event(event),
    });
  }

  /** Events of Pods without a process are left out: such Pods come by the thousand. */
  #event(event: PodEvent): void {
    if (!this.#quiet && !this.#silent) this.#host.events.record(this.identity, event);
  }

  /** Has the status written, once for all that changes in one turn. */
  #changed(): void {
    if (!this.#visible || this.#announced || this.#silent) return;
    // The last status follows shortly, and it says more.
    if (this.#ending.signal.aborted && !this.#ended && !this.#anyRunning()) return;
    this.#announced = true;
    setImmediate(() => {
      this.#announced = false;
      this.#host.writes.put(`pods/${this.identity.uid}`, (signal) => this.#write(signal));
    });
  }

  #anyRunning(): boolean {
    return [...this.#init, ...this.#main].some(({ record }) => record.state.running !== undefined);
  }

  async #write(signal: AbortSignal): Promise<void> {
    if (this.#silent) return;
    try {
      await this.#writeStatus(signal);
      if (this.#ended) await this.#delete(signal);
    } catch (error) {
      // Deleted by force, or another Pod has the name by now.
      if (!hasReason(error, 'NotFound', 'Conflict')) throw error;
      this.#host.log.debug('a Pod went away before its status was written', { ...this.identity, error });
    }
  }

  async #writeStatus(signal: AbortSignal): Promise<void> {
    // Nobody waits for the exit code of a process that never was.
    if (this.#ended && this.#quiet) return;
    const status = podStatusOf({
      pod: this.#pod,
      init: this.#init.map(({ record }) => record.status),
      main: this.#main.map(({ record }) => record.status),
      hostIP: this.#host.hostIP,
      podIP: this.#podIP,
      startTime: this.#startTime,
      now: timestamp(Date.now()),
      terminal: this.#ended,
      before: this.#written,
    });
    if (saysTheSame(this.#written, status)) return;
    const written = await this.#host.client.request<Pod>({
      method: 'PATCH',
      path: `${podPath(this.identity)}/status`,
      contentType: 'application/strategic-merge-patch+json',
      signal,
      body: { metadata: { uid: this.identity.uid }, status },
    });
    this.#written = written.status ?? {};
  }

  async #delete(signal: AbortSignal): Promise<void> {
    await this.#host.client.request({
      method: 'DELETE',
      path: podPath(this.identity),
      signal,
      body: {
        apiVersion: 'v1',
        kind: 'DeleteOptions',
        gracePeriodSeconds: 0,
        preconditions: { uid: this.identity.uid },
      },
    });
  }
}
