import type { KubeClient } from '../../../apis/client/transport.ts';
import { hasReason } from '../../../apis/machinery/errors.ts';
import type { Sandbox } from '../../../apis/v1alpha1/sandbox.ts';
import { sandboxChange } from '../../../apis/v1alpha1/sandbox-change.ts';
import { sandboxPathOf } from '../activity/sandbox-writer.ts';
import { type SessionRecord, toSessionRecord } from '../session-record.ts';
import type { SuspensionChange } from './changes.ts';
import type { SuspensionMetrics, SuspensionStep } from './metrics.ts';

const requestTimeoutMs = 10_000;

export interface SuspensionWriterOptions {
  client: KubeClient;
  metrics: SuspensionMetrics;
  /** Told of each change that was written. */
  onWritten: (record: SessionRecord) => void;
  /** Aborts every request. */
  signal: AbortSignal;
}

/** Writes the suspension of Sandboxes at kube-apiserver, each change in one patch that only the state it is for takes. */
export class SuspensionWriter {
  readonly #options: SuspensionWriterOptions;

  constructor(options: SuspensionWriterOptions) {
    this.#options = options;
  }

  /**
   * Makes a change, if the session is still as it was read.
   * @throws ApiError Conflict when it is not, NotFound when it is gone, and whatever kube-apiserver answers.
   */
  async write(
    step: SuspensionStep,
    { session }: SessionRecord,
    { annotations, spec }: SuspensionChange,
  ): Promise<SessionRecord> {
    const { client, metrics, onWritten, signal } = this.#options;
    try {
      const sandbox = await client.request<Sandbox>({
        ...sandboxChange(session.metadata, {
          metadata: { resourceVersion: session.metadata.resourceVersion, annotations },
          ...(spec === undefined ? {} : { spec }),
        }),
        signal,
        timeoutMs: requestTimeoutMs,
      });
      metrics.tried(step, 'written');
      const record = toSessionRecord(sandbox);
      onWritten(record);
      return record;
    } catch (error) {
      metrics.tried(step, hasReason(error, 'Conflict') ? 'conflict' : 'failed');
      throw error;
    }
  }

  /**
   * The session as it is stored now.
   * @throws ApiError NotFound, and whatever kube-apiserver answers.
   */
  async read({ session }: SessionRecord): Promise<SessionRecord> {
    const { client, signal } = this.#options;
    const path = sandboxPathOf(session);
    return toSessionRecord(await client.request<Sandbox>({ path, signal, timeoutMs: requestTimeoutMs }));
  }
}
