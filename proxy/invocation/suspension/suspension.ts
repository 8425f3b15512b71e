import type { Registry } from 'prom-client';
import type { KubeClient } from '../../../apis/client/transport.ts';
import type { Log } from '../../../apis/runtime/log.ts';
import type { SandboxSource } from '../sandbox-source.ts';
import type { SessionRecord } from '../session-record.ts';
import { IdleSuspender } from './idle-suspender.ts';
import { SuspensionMetrics } from './metrics.ts';
import { Resumer } from './resumer.ts';
import { SuspensionWriter } from './suspension-writer.ts';

export interface SuspensionOptions {
  client: KubeClient;
  sandboxes: SandboxSource;
  /** Whether this process has calls of a session (`namespace/name`) in flight, or activity of it that is not stored. */
  isInUse: (key: string) => boolean;
  /** Told of each session whose suspension this process has changed. */
  onWritten: (record: SessionRecord) => void;
  registry: Registry;
  log: Log;
  /** Milliseconds since the epoch. */
  now: () => number;
}

/** Idle sessions lose their Pod and get a new one with the next call; any number of replicas, no leader. */
export class Suspension {
  readonly #requests = new AbortController();
  readonly #suspender: IdleSuspender;
  readonly #resumer: Resumer;

  constructor({ client, sandboxes, isInUse, onWritten, registry, log, now }: SuspensionOptions) {
    const metrics = new SuspensionMetrics(registry);
    const writer = new SuspensionWriter({ client, metrics, onWritten, signal: this.#requests.signal });
    this.#suspender = new IdleSuspender({ sandboxes, writer, isInUse, log, now });
    this.#resumer = new Resumer({ sandboxes, writer, log, now });
  }

  /** Follows the sessions. Call it before the source starts. */
  start(): void {
    this.#suspender.start();
    this.#resumer.start();
  }

  stop(): void {
    this.#suspender.stop();
    this.#resumer.stop();
    this.#requests.abort();
  }

  /** See {@link Resumer.wake}. */
  async wake(record: SessionRecord): Promise<void> {
    await this.#resumer.wake(record);
  }
}
