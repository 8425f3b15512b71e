import { type Change, Informer } from '../../../../apis/client/informer.ts';
import { ApiError } from '../../../../apis/machinery/errors.ts';
import { identityOf, type Pod } from '../api/pod.ts';
import type { Scheduler } from '../scheduling/scheduler.ts';
import type { ContainerLogSource } from '../server/kubelet-server.ts';
import { type PodHost, PodLife } from './pod-life.ts';

/** How long a stopping node waits for kube-apiserver to take what it still has to say. */
const flushLimitMs = 1_000;

export interface PodTableOptions {
  host: PodHost;
  nodeName: string;
  scheduler: Scheduler;
}

/** All Pods of the cluster as one watch tells of them; those of this node are run, those without a node scheduled. */
export class PodTable {
  readonly #options: PodTableOptions;
  readonly #informer: Informer<Pod>;
  /** By uid: a Pod of the same name is another Pod. */
  readonly #lives = new Map<string, PodLife>();
  readonly #leaving = new Set<Promise<void>>();

  constructor(options: PodTableOptions) {
    const { client, log } = options.host;
    this.#options = options;
    this.#informer = new Informer<Pod>({
      client,
      path: '/api/v1/pods',
      log,
      keep: slim,
      onChange: (change) => this.#take(change),
    });
  }

  /** Resolves once every Pod that exists is known. */
  async start(): Promise<void> {
    this.#informer.start();
    await this.#informer.firstSync;
  }

  has(uid: string): boolean {
    return this.#lives.has(uid);
  }

  /** @throws ApiError NotFound or BadRequest in kubelet's words. */
  findLog(request: { namespace: string; pod: string; container: string; previous: boolean }): ContainerLogSource {
    const pod = this.#informer.get(request.namespace, request.pod);
    const life = pod === undefined ? undefined : this.#lives.get(identityOf(pod).uid);
    if (life === undefined) throw new ApiError('NotFound', `pod "${request.pod}" does not exist`);
    const container = life.container(request.container);
    if (container === undefined) {
      throw new ApiError('NotFound', `container "${request.container}" not found in pod "${request.pod}"`);
    }
    const attempt = container.record.logAttempt(request.pod, request);
    if (typeof attempt === 'string') throw new ApiError('BadRequest', attempt);
    const path = this.#options.host.settings.folders.log(life.identity.uid, request.container, attempt);
    const live = container.liveLog;
    return { path, live: live?.path === path ? live : undefined };
  }

  /** Ends every process; the Pods stay as they are in kube-apiserver. */
  async stop(graceMs: number): Promise<void> {
    await this.#informer.stop();
    // An exit that nobody was told of yet would be lost for good; changes are announced at the end of their turn.
    await new Promise((resolve) => setImmediate(resolve));
    await this.#options.host.writes.idle(flushLimitMs);
    await Promise.all([...this.#lives.values()].map((life) => life.stop(graceMs)));
    await Promise.all(this.#leaving);
  }

  #take({ previous, current }: Change<Pod>): void {
    const before = previous === undefined ? undefined : identityOf(previous).uid;
    const uid = current === undefined ? undefined : identityOf(current).uid;
    if (before !== undefined && before !== uid) {
      this.#options.scheduler.forget(before);
      this.#leave(before);
    }
    if (current === undefined || uid === undefined) return;
    if (current.spec.nodeName === undefined) {
      this.#options.scheduler.consider(current);
      return;
    }
    this.#options.scheduler.forget(uid);
    if (current.spec.nodeName === this.#options.nodeName) this.#run(uid, current);
  }

  #run(uid: string, pod: Pod): void {
    const known = this.#lives.get(uid);
    if (known !== undefined) {
      known.update(pod);
      return;
    }
    const life = new PodLife(pod, this.#options.host);
    this.#lives.set(uid, life);
    // Later than the list this may be part of, so that all Pods have claimed the addresses they had.
    setImmediate(() => life.start());
  }

  #leave(uid: string): void {
    const life = this.#lives.get(uid);
    if (life === undefined) return;
    this.#lives.delete(uid);
    const { log } = this.#options.host;
    const leaving = life
      .gone()
      .catch((error: unknown) => log.error('cleaning up after a Pod failed', { ...life.identity, error }))
      .finally(() => this.#leaving.delete(leaving));
    this.#leaving.add(leaving);
  }
}

/** Without what nobody here reads and what takes most of the space. */
function slim(pod: Pod): Pod {
  delete pod.metadata.managedFields;
  return pod;
}
