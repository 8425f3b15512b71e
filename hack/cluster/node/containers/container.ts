import { ApiError, hasReason } from '../../../../apis/machinery/errors.ts';
import type { Log } from '../../../../apis/runtime/log.ts';
import type { PodEvent } from '../api/events.ts';
import type { Container, ContainerStatus, Pod, PodIdentity, RestartPolicy } from '../api/pod.ts';
import type { ImageMap, LocalImage } from '../images.ts';
import type { LogFile } from '../logs/log-file.ts';
import type { MemoryLimits } from '../memory/memory-limits.ts';
import { probeContainer } from '../probes/container-probes.ts';
import { aborted, durationText, pause } from '../time.ts';
import type { VolumeFolders } from '../volumes/pod-volumes.ts';
import { Attempt } from './attempt.ts';
import { Backoff, type BackoffTimes } from './backoff.ts';
import { ContainerRecord, type ContainerRole } from './container-record.ts';
import type { PodAddresses } from './field-reference.ts';
import { pullImage } from './image-pull.ts';
import { type ProcessPlan, type ProcessSettings, planProcess } from './process-plan.ts';
import type { ProcessSearch } from './process-search.ts';

/** How soon a container is tried again whose configuration cannot be read: at first, and at last. */
const firstConfigurationRetryMs = 1_000;
const lastConfigurationRetryMs = 16_000;

/** What all containers of the node share. */
export interface ContainerEnvironment {
  settings: ProcessSettings;
  images: ImageMap;
  search: ProcessSearch;
  limits: MemoryLimits;
  /** Between attempts that fail, of the process and of its image's pull. */
  backoff: BackoffTimes;
  log: Log;
}

export interface ContainerOptions extends ContainerEnvironment {
  /** The Pod as it is now. */
  pod: () => Pod;
  identity: PodIdentity;
  name: string;
  role: ContainerRole;
  previous: ContainerStatus | undefined;
  addresses: () => PodAddresses;
  volumes: () => VolumeFolders;
  /** The Pod's own grace. */
  graceMs: () => number;
  /** Called after each change of the status. */
  onChange: () => void;
  event: (event: PodEvent) => void;
}

/** Runs one container of a Pod, attempt after attempt, until its restart policy or its Pod ends it. */
export class ContainerLife {
  readonly record: ContainerRecord;
  readonly #options: ContainerOptions;
  readonly #stopping = new AbortController();
  readonly #settled = Promise.withResolvers<void>();
  readonly #crashes: Backoff;
  #running: Promise<void> | undefined;
  #current: Attempt | undefined;
  /** Set while an image is looked for: ends the wait for the next try. */
  #pulling: { image: string | undefined; changed: AbortController } | undefined;
  /** The image that the running process stands for. */
  #image: string | undefined;
  #redefined = false;

  constructor(options: ContainerOptions) {
    const { identity, role, previous } = options;
    this.#options = options;
    this.#crashes = new Backoff('at once', options.backoff);
    const waitsFor = options.pod().spec.initContainers === undefined ? 'ContainerCreating' : 'PodInitializing';
    this.record = new ContainerRecord({ uid: identity.uid, spec: this.spec, role, waitsFor, previous });
  }

  get name(): string {
    return this.#options.name;
  }

  /** The container as its Pod now has it: an image can be changed while it runs. */
  get spec(): Container {
    const { spec } = this.#options.pod();
    const containers = this.#options.role === 'init' ? spec.initContainers : spec.containers;
    const found = containers?.find(({ name }) => name === this.#options.name);
    if (found === undefined) throw new Error(`the Pod has no container ${this.#options.name} any more`);
    return found;
  }

  /** Resolves when the first attempt has begun or is known not to begin yet. */
  get settled(): Promise<void> {
    return this.#settled.promise;
  }

  /** The log of the attempt that runs now. */
  get liveLog(): LogFile | undefined {
    return this.#current?.output;
  }

  /** Runs until the container has ended for good; later calls wait for the same end. */
  async run(): Promise<void> {
    this.#running ??= this.#run().finally(() => this.#settled.resolve());
    await this.#running;
  }

  /** Ends the container: SIGTERM, and SIGKILL after the grace. A later call with less grace shortens it. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping.abort();
    this.#current?.stop(graceMs, `Stopping container ${this.name}`);
    await this.#running;
    // It ran before this node started and was not begun again.
    if (this.record.state.running !== undefined) this.record.lost();
  }

  /** Takes notice of a changed Pod: another image ends the attempt, and the next one runs that image. */
  podChanged(graceMs: number): void {
    if (this.#pulling !== undefined && this.#pulling.image !== this.spec.image) this.#pulling.changed.abort();
    if (this.#current === undefined || this.#redefined || this.#image === this.spec.image) return;
    this.#redefined = true;
    this.#current.stop(graceMs, `Container ${this.name} definition changed, will be restarted`);
  }

  async #run(): Promise<void> {
    const stopping = this.#stopping.signal;
    if (this.#options.images(this.spec.image ?? '', this.spec)?.kind === 'none') return await this.#standIn();
    if (this.record.state.running !== undefined) this.record.lost();
    while (!stopping.aborted && this.#goesOn()) {
      const image = await this.#pull();
      const plan = image?.kind === 'process' ? await this.#plan(image) : undefined;
      if (plan === undefined || stopping.aborted) return;
      await this.#attempt(plan);
      if (!stopping.aborted && this.#goesOn()) await this.#backOff();
    }
  }

  /** Whether another attempt is due after what the record shows (k8s.io/kubernetes/pkg/api/v1/pod, ContainerShouldRestart). */
  #goesOn(): boolean {
    const ended = this.record.state.terminated;
    if (ended === undefined || this.#redefined) return true;
    const policy: RestartPolicy = this.#options.pod().spec.restartPolicy ?? 'Always';
    if (policy === 'Never') return false;
    // An init container that succeeded has done its work under any policy.
    return ended.exitCode !== 0 || (policy === 'Always' && this.#options.role === 'main');
  }

  /** `local/none`: runs and is ready without a process, for as long as its Pod is there. */
  async #standIn(): Promise<void> {
    const { record } = this;
    if (this.#stopping.signal.aborted || record.state.terminated !== undefined) return;
    if (record.state.running === undefined)
      record.running({ ready: true, started: true, image: this.spec.image ?? '' });
    if (this.#options.role === 'main') {
      this.#changed();
      await aborted(this.#stopping.signal);
    }
    record.exited({ exitCode: 0, reason: 'Completed' });
  }

  /** Finds the image, and another one as soon as the Pod is given that. Undefined when stopped. */
  async #pull(): Promise<LocalImage | undefined> {
    const stopping = this.#stopping.signal;
    while (!stopping.aborted) {
      const changed = new AbortController();
      this.#pulling = { image: this.spec.image, changed };
      const found = await pullImage({
        images: this.#options.images,
        spec: () => this.spec,
        times: this.#options.backoff,
        wait: (reason, message) => this.#wait(reason, message),
        event: (type, reason, message) => this.#event(type, reason, message),
        signal: AbortSignal.any([stopping, changed.signal]),
      });
      this.#pulling = undefined;
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Everything to start from, tried again until it is all there; undefined when stopped. */
  async #plan(image: Extract<LocalImage, { kind: 'process' }>): Promise<ProcessPlan | undefined> {
    const { settings, identity, addresses, volumes } = this.#options;
    const signal = this.#stopping.signal;
    for (let retryMs = firstConfigurationRetryMs; !signal.aborted; retryMs *= 2) {
      try {
        const pod = this.#options.pod();
        const places = { addresses: addresses(), volumes: volumes() };
        return await planProcess({ pod, uid: identity.uid, container: this.spec, image, ...places, settings, signal });
      } catch (error) {
        if (signal.aborted) break;
        const message = error instanceof Error ? error.message : String(error);
        if (!hasReason(error, 'NotFound', 'Invalid')) {
          this.#options.log.warn('a container cannot be prepared yet', { ...identity, container: this.name, error });
        }
        this.#event('Warning', 'Failed', `Error: ${message}`);
        this.#wait(error instanceof ApiError ? 'CreateContainerConfigError' : 'CreateContainerError', message);
        await pause(Math.min(retryMs, lastConfigurationRetryMs), signal);
      }
    }
    return undefined;
  }

  /** One attempt from start to exit; the record has both. */
  async #attempt(plan: ProcessPlan): Promise<void> {
    this.#redefined = false;
    const attempt = await this.#start(plan);
    if (attempt === undefined) return;
    this.#current = attempt;
    // The Pod was ended while the process was being started.
    if (this.#stopping.signal.aborted) attempt.stop(0, `Stopping container ${this.name}`);
    const probing = this.#probe(plan, attempt);
    const [end] = await Promise.all([attempt.exited, attempt.afterStart()]);
    probing.abort();
    this.#current = undefined;
    this.record.exited(end);
    this.#changed();
  }

  async #start(plan: ProcessPlan): Promise<Attempt | undefined> {
    const { identity, settings, search, limits, addresses, graceMs, log } = this.#options;
    const { folders } = settings;
    const attempt = this.record.nextAttempt;
    try {
      await folders.dropOldLogs(identity.uid, this.name, attempt);
      const started = await Attempt.start({
        plan,
        container: this.spec,
        podIP: addresses().podIP,
        owner: { uid: identity.uid, container: this.name },
        logPath: folders.log(identity.uid, this.name, attempt),
        ...{ limits, search, graceMs, log },
        event: (type, reason, message) => this.#event(type, reason, message),
      });
      this.#started();
      return started;
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.record.startFailed(message);
      this.#event('Warning', 'Failed', `Error: ${message}`);
      this.#changed();
      return undefined;
    }
  }

  #started(): void {
    const { image = '', readinessProbe, startupProbe } = this.spec;
    this.#image = image;
    const started = startupProbe === undefined;
    const ready = this.#options.role === 'main' && started && readinessProbe === undefined;
    this.record.running({ ready, started, image });
    this.#event('Normal', 'Pulled', `Container image "${image}" already present on machine`);
    this.#event('Normal', 'Created', 'Container created');
    this.#event('Normal', 'Started', 'Container started');
    this.#changed();
  }

  /** Probes the attempt until the returned controller is aborted. */
  #probe(plan: ProcessPlan, attempt: Attempt): AbortController {
    const ended = new AbortController();
    if (this.#options.role === 'init') return ended;
    const { pod, addresses, graceMs } = this.#options;
    void probeContainer({
      target: { container: this.spec, podIP: addresses().podIP, plan },
      signal: ended.signal,
      onUnhealthy: (message) => this.#event('Warning', 'Unhealthy', message),
      onStarted: () => {
        this.record.setStarted();
        this.#changed();
      },
      onReady: (ready) => {
        this.record.setReady(ready);
        this.#changed();
      },
      onDead: (kind, probe) => {
        ended.abort();
        const restarted = pod().spec.restartPolicy === 'Never' ? '' : ', will be restarted';
        const grace = probe.terminationGracePeriodSeconds;
        const why = `Container ${this.name} failed ${kind.toLowerCase()} probe${restarted}`;
        attempt.stop(grace === undefined ? graceMs() : grace * 1000, why);
      },
    });
    return ended;
  }

  async #backOff(): Promise<void> {
    const delayMs = this.#redefined ? 0 : this.#crashes.next(Date.now());
    if (delayMs === 0) return;
    const { namespace, name, uid } = this.#options.identity;
    const pod = `${name}_${namespace}(${uid})`;
    this.#event('Warning', 'BackOff', `Back-off restarting failed container ${this.name} in pod ${pod}`);
    const reason = `back-off ${durationText(delayMs)} restarting failed container=${this.name} pod=${pod}`;
    this.#wait('CrashLoopBackOff', reason);
    await pause(delayMs, this.#stopping.signal);
  }

  #wait(reason: string, message: string): void {
    this.record.waiting(reason, message);
    this.#changed();
  }

  #changed(): void {
    this.#settled.resolve();
    this.#options.onChange();
  }

  #event(type: PodEvent['type'], reason: string, message: string): void {
    this.#options.event({ type, reason, message, component: 'kubelet', container: this.name });
  }
}
