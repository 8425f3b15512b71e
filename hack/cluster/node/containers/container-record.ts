import { createHash } from 'node:crypto';
import type { Container, ContainerState, ContainerStatus, TerminatedState } from '../api/pod.ts';
import { timestamp } from '../time.ts';
import type { AttemptEnd } from './attempt.ts';

export type ContainerRole = 'init' | 'main';

/**
 * What has happened to one container, as its ContainerStatus tells it. `restartCount` is the number of the latest
 * attempt, from 0; the state describes that attempt unless it is waiting, and then `lastState` does.
 */
export class ContainerRecord {
  readonly #uid: string;
  readonly #name: string;
  readonly #role: ContainerRole;
  #image: string;
  #state: ContainerState;
  #lastState: ContainerState;
  #attempt: number;
  #containerID: string | undefined;
  #ready: boolean;
  /** Whether the startup probe has passed, if there is one. */
  #started: boolean;

  /** Goes on from what an earlier run of the node wrote. */
  constructor(options: {
    uid: string;
    spec: Container;
    role: ContainerRole;
    /** What it waits for until its first attempt. */
    waitsFor: 'ContainerCreating' | 'PodInitializing';
    previous: ContainerStatus | undefined;
  }) {
    const { previous } = options;
    this.#uid = options.uid;
    this.#name = options.spec.name;
    this.#image = options.spec.image ?? '';
    this.#role = options.role;
    this.#state = previous?.state ?? { waiting: { reason: options.waitsFor } };
    this.#lastState = previous?.lastState ?? {};
    this.#attempt = previous?.restartCount ?? 0;
    this.#containerID = previous?.containerID;
    this.#ready = previous?.ready ?? false;
    this.#started = previous?.started ?? false;
  }

  get state(): ContainerState {
    return this.#state;
  }

  get status(): ContainerStatus {
    return {
      name: this.#name,
      state: this.#state,
      lastState: this.#lastState,
      ready: this.#ready,
      started: this.#started && this.#state.running !== undefined,
      restartCount: this.#attempt,
      image: this.#image,
      imageID: this.#containerID === undefined ? '' : this.#image,
      ...(this.#containerID === undefined ? {} : { containerID: this.#containerID }),
    };
  }

  /** Number of the attempt that {@link running} or {@link startFailed} will begin. */
  get nextAttempt(): number {
    return this.#containerID === undefined ? this.#attempt : this.#attempt + 1;
  }

  waiting(reason: string, message?: string): void {
    this.#keepLast();
    this.#ready = false;
    this.#state = { waiting: { reason, ...(message === undefined ? {} : { message }) } };
  }

  running(options: { ready: boolean; started: boolean; image: string }): void {
    this.#begin();
    this.#image = options.image;
    this.#state = { running: { startedAt: timestamp(Date.now()) } };
    this.#ready = options.ready;
    this.#started = options.started;
  }

  setReady(ready: boolean): void {
    if (this.#state.running !== undefined) this.#ready = ready;
  }

  setStarted(): void {
    this.#started = true;
  }

  /** The attempt has ended by itself or by a signal. */
  exited(end: AttemptEnd): void {
    this.#terminated({
      ...end,
      startedAt: this.#state.running?.startedAt ?? timestamp(Date.now()),
      finishedAt: timestamp(Date.now()),
    });
  }

  /** The attempt never ran (containerd's StartError). */
  startFailed(message: string): void {
    this.#begin();
    this.#terminated({
      exitCode: 128,
      reason: 'StartError',
      message,
      startedAt: timestamp(0),
      finishedAt: timestamp(Date.now()),
    });
  }

  /** The attempt ran when the node was stopped, so nobody saw how it ended. */
  lost(): void {
    this.#terminated({
      exitCode: 137,
      reason: 'ContainerStatusUnknown',
      message: 'The container could not be located when the node started again. The container used to be Running',
      startedAt: null,
      finishedAt: null,
    });
  }

  /**
   * Attempt whose log is asked for (k8s.io/kubernetes/pkg/kubelet, validateContainerLogStatus), or why there is none.
   */
  logAttempt(podName: string, options: { previous: boolean }): number | string {
    const named = `container "${this.#name}" in pod "${podName}"`;
    const latestIsLast = this.#state.waiting !== undefined;
    const hasLast = this.#lastState.terminated?.containerID !== undefined;
    if (options.previous) {
      if (!hasLast) return `previous terminated ${named} not found`;
      return latestIsLast ? this.#attempt : this.#attempt - 1;
    }
    if (!latestIsLast || hasLast) return this.#attempt;
    const reason = this.#state.waiting?.reason ?? '';
    if (reason === 'ErrImagePull') return `${named} is waiting to start: image can't be pulled`;
    if (reason === 'ImagePullBackOff') return `${named} is waiting to start: trying and failing to pull image`;
    return `${named} is waiting to start: ${reason}`;
  }

  #terminated(state: Omit<TerminatedState, 'containerID'>): void {
    // An init container that has done its work is ready.
    this.#ready = this.#role === 'init' && state.exitCode === 0;
    this.#state = {
      terminated: { ...state, ...(this.#containerID === undefined ? {} : { containerID: this.#containerID }) },
    };
  }

  #begin(): void {
    this.#keepLast();
    this.#attempt = this.nextAttempt;
    const identity = createHash('sha256').update(`${this.#uid}/${this.#name}/${this.#attempt}`);
    this.#containerID = `local://${identity.digest('hex')}`;
  }

  #keepLast(): void {
    if (this.#state.terminated !== undefined) this.#lastState = this.#state;
  }
}
