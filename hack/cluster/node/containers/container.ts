import { ApiError, hasReason } from '../../../../apis/machinery/errors.ts';
import type { Log } from '../../../../apis/runtime/log.ts';
import type { PodEvent } from '../api/events.ts';
import type { Container, ContainerStatus, Pod, PodIdentity, RestartPolicy } from '../api/pod.ts';
import type { ImageMap, LocalImage } from '../images.ts';
import { LogFile } from '../logs/log-file.ts';
import { probeReadiness } from '../probes/readiness.ts';
import { aborted, durationText, pause } from '../time.ts';
import { Backoff } from './backoff.ts';
import { ContainerProcess } from './container-process.ts';
import { ContainerRecord, type ContainerRole } from './container-record.ts';
import type { PodAddresses } from './field-reference.ts';
import { type ProcessPlan, type ProcessSettings, planProcess } from './process-plan.ts';
import type { ProcessSearch } from './process-search.ts';

/** How soon a container is tried again whose configuration cannot be read: at first, and at last. */
const firstConfigurationRetryMs = 1_000;
const lastConfigurationRetryMs = 16_000;
/** How long ErrImagePull stands before it reads ImagePullBackOff, so that both are seen, as with kubelet. */
const pullErrorShownMs = 1_000;

/** What all containers of the node share. */
export interface ContainerEnvironment {
  settings: ProcessSettings;
  images: ImageMap;
  search: ProcessSearch;
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
  readonly #crashes = new Backoff('at once');
  #running: Promise<void> | undefined;
  #process: ContainerProcess | undefined;
  #output: LogFile | undefined;
  #kill: { at: number; timer: NodeJS.Timeout } | undefined;
  /** The image that the running process stands for. */
  #image: string | undefined;
  #redefined = false;

  constructor(options: ContainerOptions) {
    const { identity, role, previous } = options;
    this.#options = options;
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
    return this.#output;
  }

  /** Runs until the container has ended for good; later calls wait for the same end. */
  async run(): Promise<void> {
    this.#running ??= this.#run().finally(() => this.#settled.resolve());
    await this.#running;
  }

  /** Ends the container: SIGTERM, and SIGKILL after the grace. A later call with less grace shortens it. */
  async stop(graceMs: number): Promise<void> {
    const first = !this.#stopping.signal.aborted;
    this.#stopping.abort();
    if (this.#process !== undefined) {
      if (first) this.#event('Normal', 'Killing', `Stopping container ${this.name}`);
      if (first && graceMs > 0) this.#process.signal('SIGTERM');
      this.#killAfter(this.#process, graceMs);
    }
    await this.#running;
    // It ran before this node started and was not begun again.
    if (this.record.state.running !== undefined) this.record.lost();
  }

  /** Takes notice of a changed Pod: another image ends the attempt, and the next one runs that image. */
  podChanged(graceMs: number): void {
    if (this.#process === undefined || this.#redefined || this.#image === this.spec.image) return;
    this.#redefined = true;
    this.#event('Normal', 'Killing', `Container ${this.name} definition changed, will be restarted`);
    this.#process.signal('SIGTERM');
    this.#killAfter(this.#process, graceMs);
  }

  #killAfter(process: ContainerProcess, graceMs: number): void {
    const at = Date.now() + graceMs;
    if (this.#kill !== undefined && this.#kill.at <= at) return;
    clearTimeout(this.#kill?.timer);
    this.#kill = { at, timer: setTimeout(() => process.signal('SIGKILL'), graceMs) };
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
    if (record.state.running === undefined) record.running({ ready: true, image: this.spec.image ?? '' });
    if (this.#options.role === 'main') {
      this.#changed();
      await aborted(this.#stopping.signal);
    }
    record.exited({ exitCode: 0 });
  }

  /** Finds the image; as long as there is none, it fails again and again as kubelet does. Undefined when stopped. */
  async #pull(): Promise<LocalImage | undefined> {
    const stopping = this.#stopping.signal;
    const backoff = new Backoff('delayed');
    while (!stopping.aborted) {
      const { image = '' } = this.spec;
      const found = this.#options.images(image, this.spec);
      if (found !== undefined) return found;
      const problem = `failed to resolve image "${image}": not one of the images of the local node`;
      this.#event('Warning', 'Failed', `Failed to pull image "${image}": ${problem}`);
      this.#wait('ErrImagePull', problem);
      const delayMs = backoff.next(Date.now());
      await pause(pullErrorShownMs, stopping);
      if (stopping.aborted) break;
      this.#event('Normal', 'BackOff', `Back-off pulling image "${image}"`);
      this.#wait('ImagePullBackOff', `Back-off pulling image "${image}": ErrImagePull: ${problem}`);
      await pause(delayMs - pullErrorShownMs, stopping);
    }
    return undefined;
  }

  /** Everything to start from, tried again until it is all there; undefined when stopped. */
  async #plan(image: Extract<LocalImage, { kind: 'process' }>): Promise<ProcessPlan | undefined> {
    const { settings, identity, addresses } = this.#options;
    const signal = this.#stopping.signal;
    for (let retryMs = firstConfigurationRetryMs; !signal.aborted; retryMs *= 2) {
      try {
        const pod = this.#options.pod();
        const input = { pod, uid: identity.uid, container: this.spec, image, addresses: addresses(), settings, signal };
        return await planProcess(input);
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
    const process = await this.#start(plan);
    if (process === undefined) return;
    this.#process = process;
    // The Pod was ended while the process was being started.
    if (this.#stopping.signal.aborted) process.signal('SIGKILL');
    const probing = this.#probe(plan);
    const exit = await process.exited;
    probing.abort();
    clearTimeout(this.#kill?.timer);
    this.#kill = undefined;
    this.#process = undefined;
    this.#output = undefined;
    this.record.exited(exit);
    this.#changed();
  }

  async #start(plan: ProcessPlan): Promise<ContainerProcess | undefined> {
    const { identity, settings, search, log } = this.#options;
    const owner = { uid: identity.uid, container: this.name };
    const attempt = this.record.nextAttempt;
    let output: LogFile | undefined;
    try {
      await settings.folders.dropOldLogs(identity.uid, this.name, attempt);
      output = await LogFile.open(settings.folders.log(identity.uid, this.name, attempt), log);
      const process = await ContainerProcess.start(plan, { owner, output, search, log });
      this.#output = output;
      this.#started();
      return process;
    } catch (error) {
      await output?.close();
      const message = error instanceof Error ? error.message : String(error);
      this.record.startFailed(message);
      this.#event('Warning', 'Failed', `Error: ${message}`);
      this.#changed();
      return undefined;
    }
  }

  #started(): void {
    const { image = '', readinessProbe } = this.spec;
    this.#image = image;
    this.record.running({ ready: this.#options.role === 'main' && readinessProbe === undefined, image });
    this.#event('Normal', 'Pulled', `Container image "${image}" already present on machine`);
    this.#event('Normal', 'Created', 'Container created');
    this.#event('Normal', 'Started', 'Container started');
    this.#changed();
  }

  /** Probes the attempt until the returned controller is aborted. */
  #probe(plan: ProcessPlan): AbortController {
    const ended = new AbortController();
    const { readinessProbe: probe } = this.spec;
    if (probe === undefined || this.#options.role === 'init') return ended;
    void probeReadiness({
      probe,
      target: { container: this.spec, podIP: this.#options.addresses().podIP, plan },
      signal: ended.signal,
      onFailure: (output) => this.#event('Warning', 'Unhealthy', `Readiness probe failed: ${output}`),
      onChange: (ready) => {
        this.record.setReady(ready);
        this.#changed();
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
