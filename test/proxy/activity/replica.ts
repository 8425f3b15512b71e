import { Registry } from 'prom-client';
import type { KubeClient } from '../../../apis/client/transport.ts';
import { createLog } from '../../../apis/runtime/log.ts';
import { ActivityTracker } from '../../../proxy/invocation/activity/tracker.ts';
import type { SandboxSource } from '../../../proxy/invocation/sandbox-source.ts';
import type { SessionRecord } from '../../../proxy/invocation/session-record.ts';
import { SessionInformer } from '../../../proxy/session-source.ts';
import { until } from '../../support/until.ts';

/** A clock that a test may move. */
export class TestClock {
  #aheadMs: number;
  #haltedAt: number | undefined;

  constructor(aheadMs = 0) {
    this.#aheadMs = aheadMs;
  }

  readonly now = (): number => this.#haltedAt ?? Date.now() + this.#aheadMs;

  advance(ms: number): void {
    this.set(this.now() + ms);
  }

  /** Moves to a point in time: milliseconds since the epoch. */
  set(ms: number): void {
    if (this.#haltedAt === undefined) this.#aheadMs = ms - Date.now();
    else this.#haltedAt = ms;
  }

  /** From now on it goes only when it is moved, so that a busy machine takes no time by it. */
  halt(): void {
    this.#haltedAt = this.now();
  }
}

/** One process's view of the activity: its own informer and tracker. */
export class Replica {
  readonly tracker: ActivityTracker;
  readonly clock: TestClock;
  readonly #informer: SessionInformer;
  readonly #registry = new Registry();

  constructor(client: KubeClient, clock: TestClock = new TestClock()) {
    const log = createLog({ write: () => undefined });
    this.clock = clock;
    this.#informer = new SessionInformer({ client, log });
    const { now } = clock;
    this.tracker = new ActivityTracker({ client, sandboxes: this.#informer, registry: this.#registry, log, now });
    this.tracker.start();
    this.#informer.start();
  }

  /** The session once the informer has it. */
  async record(namespace: string, name: string): Promise<SessionRecord> {
    return await until(`the session ${name}`, () => this.#informer.get(namespace, name));
  }

  /** The session as the informer has it now. */
  get(namespace: string, name: string): SessionRecord | undefined {
    return this.#informer.get(namespace, name);
  }

  onChange(listener: (key: string) => void): () => void {
    return this.#informer.onChange(listener);
  }

  /** A call that is over at once. */
  async call(record: SessionRecord): Promise<void> {
    (await this.tracker.begin(record)).end();
  }

  async flushes(outcome: string): Promise<number> {
    return await flushesOf(this.#registry, outcome);
  }

  async stop(): Promise<void> {
    await this.tracker.stop({ timeoutMs: 1_000 });
    await this.#informer.stop();
  }
}

/** A tracker whose view of one session stays as it was: its watch lags behind. */
export class LaggingReplica {
  readonly tracker: ActivityTracker;
  readonly #registry = new Registry();

  constructor(client: KubeClient, record: SessionRecord, clock: TestClock = new TestClock()) {
    const sandboxes: SandboxSource = { synced: true, get: () => record, onChange: () => () => undefined };
    const log = createLog({ write: () => undefined });
    this.tracker = new ActivityTracker({ client, sandboxes, registry: this.#registry, log, now: clock.now });
    this.tracker.start();
  }

  async flushes(outcome: string): Promise<number> {
    return await flushesOf(this.#registry, outcome);
  }

  async stop(): Promise<void> {
    await this.tracker.stop({ timeoutMs: 1_000 });
  }
}

/** How many flushes have ended so, by the metrics of a tracker. */
export async function flushesOf(registry: Registry, outcome: string): Promise<number> {
  const metric = await registry.getSingleMetric('sojourn_activity_flushes_total')?.get();
  return metric?.values.find(({ labels }) => labels.outcome === outcome)?.value ?? 0;
}
