import { setTimeout as delay } from 'node:timers/promises';
import { Agent } from 'undici';
import { type KubeClient, patchTypes } from '../../apis/client/transport.ts';
import { ApiError } from '../../apis/machinery/errors.ts';
import { groupVersion, resource } from '../../apis/names.ts';
import { parseDuration } from '../../apis/v1alpha1/duration.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import type { Entry, Ledger } from './ledger.ts';

const idleTimeouts = ['8s', '20s', '10m'] as const;
const requestTimeoutMs = 15_000;

export interface WorkloadOptions {
  /** Creates, changes and deletes; through kube-apiserver. */
  client: KubeClient;
  namespace: string;
  /** Names of CodeInterpreters, and which of them answer calls. */
  runtimes: readonly { name: string; callable: boolean; most: number }[];
  /** Addresses of proxies, and what they are shown. */
  proxies: readonly string[];
  token: string;
  ca: string;
  ledger: Ledger;
}

/** Users at work: they create, call, change and delete sessions until they are stopped, and note what they were told. */
export class Workload {
  readonly #options: WorkloadOptions;
  readonly #agent: Agent;
  readonly #path: string;
  #stopped = false;
  #users: Promise<void>[] = [];
  calls = 0;

  constructor(options: WorkloadOptions) {
    this.#options = options;
    this.#agent = new Agent({ connect: { ca: options.ca }, headersTimeout: requestTimeoutMs });
    this.#path = `/apis/${groupVersion}/namespaces/${options.namespace}/${resource}`;
  }

  start(users: number): void {
    this.#users = Array.from({ length: users }, () => this.#user());
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#users);
    await this.#agent.destroy();
  }

  async #user(): Promise<void> {
    while (!this.#stopped) {
      try {
        await this.#act();
      } catch (error) {
        // What was refused or not answered is what the faults are for; the ledger knows what may have happened.
        if (!(error instanceof ApiError) && !isNetworkError(error)) throw error;
      }
      await delay(20 + Math.random() * 100);
    }
  }

  async #act(): Promise<void> {
    const dice = Math.random();
    if (dice < 0.35) return await this.#create();
    const callable = this.#options.runtimes.filter((runtime) => runtime.callable).map(({ name }) => name);
    const open = this.#options.ledger.open;
    if (dice < 0.8) return await this.#call(pick(open.filter((entry) => callable.includes(entry.runtime))));
    if (dice < 0.9) return await this.#change(pick(open));
    return await this.#delete(pick(open));
  }

  async #create(): Promise<void> {
    const { ledger, client, runtimes } = this.#options;
    const runtime = pick(runtimes);
    if (runtime === undefined || ledger.open.filter((entry) => entry.runtime === runtime.name).length >= runtime.most)
      return;
    const body = {
      apiVersion: 'sojourn.dev/v1alpha1',
      kind: 'Session',
      metadata: { generateName: `${runtime.name}-` },
      spec: { runtimeRef: { kind: 'CodeInterpreter', name: runtime.name }, idleTimeout: pick(idleTimeouts) },
    };
    ledger.unanswered += 1;
    const session = await client.request<Session>({
      method: 'POST',
      path: this.#path,
      body,
      timeoutMs: requestTimeoutMs,
    });
    ledger.unanswered -= 1;
    ledger.created(session, runtime.name);
  }

  async #call(entry: Entry | undefined): Promise<void> {
    const origin = pick(this.#options.proxies);
    if (entry === undefined || origin === undefined) return;
    const begunAt = Date.now();
    try {
      const answer = await this.#agent.request({
        origin,
        path: `${this.#path}/${entry.name}/proxy/health`,
        method: 'GET',
        headers: { authorization: `Bearer ${this.#options.token}` },
      });
      await answer.body.dump();
      if (answer.statusCode !== 200) return;
      this.calls += 1;
      entry.answeredAt = Math.max(entry.answeredAt ?? 0, begunAt);
    } finally {
      entry.attemptedAt = Date.now();
    }
  }

  async #change(entry: Entry | undefined): Promise<void> {
    if (entry === undefined) return;
    const idleTimeout = pick(idleTimeouts) ?? '20s';
    // From now on it may be either, whether or not the answer arrives.
    entry.idleTimeoutsMs.push(parseDuration(idleTimeout));
    // A shorter limit leaves time for use that is not written yet, counted from the change.
    entry.attemptedAt = Date.now();
    await this.#options.client.request({
      method: 'PATCH',
      path: `${this.#path}/${entry.name}`,
      contentType: patchTypes.merge,
      body: { spec: { idleTimeout } },
      timeoutMs: requestTimeoutMs,
    });
  }

  async #delete(entry: Entry | undefined): Promise<void> {
    if (entry === undefined) return;
    entry.deletionAskedAt = Date.now();
    const body = { kind: 'DeleteOptions', apiVersion: 'v1', preconditions: { uid: entry.uid } };
    await this.#options.client.request({
      method: 'DELETE',
      path: `${this.#path}/${entry.name}`,
      body,
      timeoutMs: requestTimeoutMs,
    });
  }
}

function pick<T>(from: readonly T[]): T | undefined {
  return from[Math.floor(Math.random() * from.length)];
}

function isNetworkError(error: unknown): boolean {
  return error instanceof Error && typeof (error as { code?: unknown }).code === 'string';
}
