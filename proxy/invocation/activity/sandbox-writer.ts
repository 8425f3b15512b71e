import type { KubeClient } from '../../../apis/client/transport.ts';
import { formatTime } from '../../../apis/machinery/time.ts';
import { annotations } from '../../../apis/names.ts';
import type { Sandbox } from '../../../apis/v1alpha1/sandbox.ts';
import { sandboxChange } from '../../../apis/v1alpha1/sandbox-change.ts';
import { sandboxPath } from '../../../apis/v1alpha1/sandbox-paths.ts';
import type { Session } from '../../../apis/v1alpha1/types.ts';
import { type SessionRecord, toSessionRecord } from '../session-record.ts';
import type { Flush } from './flush.ts';
import type { StoredActivity } from './stored-activity.ts';

const requestTimeoutMs = 10_000;

/** Reads and writes the activity of Sandboxes at kube-apiserver. */
export class SandboxWriter {
  readonly #client: KubeClient;
  readonly #signal: AbortSignal;

  /** @param signal aborts every request. */
  constructor(client: KubeClient, signal: AbortSignal) {
    this.#client = client;
    this.#signal = signal;
  }

  /**
   * Writes activity and deadline in one patch, if the Sandbox is still as it was read.
   * @throws ApiError Conflict when it is not, NotFound when the session is gone, and whatever kube-apiserver answers.
   */
  async write({ session, resourceVersion }: StoredActivity, { activityAt, endsAt }: Flush): Promise<SessionRecord> {
    const changed = activityAt === undefined ? undefined : { [annotations.activity]: formatTime(activityAt) };
    const sandbox = await this.#client.request<Sandbox>({
      ...sandboxChange(session.metadata, {
        metadata: { resourceVersion, ...(changed === undefined ? {} : { annotations: changed }) },
        ...(endsAt === undefined ? {} : { spec: { shutdownTime: formatTime(endsAt) } }),
      }),
      signal: this.#signal,
      timeoutMs: requestTimeoutMs,
    });
    return toSessionRecord(sandbox);
  }

  /**
   * The session as it is stored now.
   * @throws ApiError NotFound, and whatever kube-apiserver answers.
   */
  async read(session: Session): Promise<SessionRecord> {
    const sandbox = await this.#client.request<Sandbox>({
      path: sandboxPathOf(session),
      signal: this.#signal,
      timeoutMs: requestTimeoutMs,
    });
    return toSessionRecord(sandbox);
  }
}

/** Path of the Sandbox that bears a session. */
export function sandboxPathOf({ metadata: { namespace = '', name = '' } }: Session): string {
  return sandboxPath(namespace, name);
}
