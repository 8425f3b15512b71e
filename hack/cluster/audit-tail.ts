import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const deadlineMs = 30_000;
/** kube-apiserver writes lines; nobody tells when. */
const pollMs = 50;

/** A request as kube-apiserver's audit log tells it (audit.k8s.io/v1 Event), as far as anybody here looks into it. */
export interface AuditEvent {
  auditID: string;
  stage: string;
  verb: string;
  requestURI: string;
  user: { username: string };
  objectRef?: { resource?: string; subresource?: string; namespace?: string; name?: string };
  responseStatus?: { code?: number };
}

/** Reads what kube-apiserver audits from now on. */
export class AuditTail {
  readonly #path: string;
  #offset: number;

  private constructor(path: string, offset: number) {
    this.#path = path;
    this.#offset = offset;
  }

  /** @param dir the control plane's folder. */
  static async open(dir: string): Promise<AuditTail> {
    const path = join(dir, 'logs', 'audit.log');
    return new AuditTail(path, (await stat(path)).size);
  }

  /** The requests that ended since the last call, or since the beginning. */
  async read(): Promise<AuditEvent[]> {
    const file = await open(this.#path);
    try {
      const { size } = await file.stat();
      const { buffer, bytesRead } = await file.read(
        Buffer.alloc(size - this.#offset),
        0,
        size - this.#offset,
        this.#offset,
      );
      // The last line may be half written.
      const end = buffer.subarray(0, bytesRead).lastIndexOf(0x0a) + 1;
      this.#offset += end;
      const lines = buffer
        .toString('utf8', 0, end)
        .split('\n')
        .filter((line) => line !== '');
      return lines.map((line) => JSON.parse(line) as AuditEvent).filter(({ stage }) => stage === 'ResponseComplete');
    } finally {
      await file.close();
    }
  }

  /**
   * Everything until a request that `isLast` knows.
   * @throws Error naming `what` when it does not come within 30 s.
   */
  async readUntil(what: string, isLast: (event: AuditEvent) => boolean): Promise<AuditEvent[]> {
    const events: AuditEvent[] = [];
    const deadline = performance.now() + deadlineMs;
    while (!events.some(isLast)) {
      if (performance.now() > deadline)
        throw new Error(`${what} did not come to kube-apiserver's audit log within 30 s`);
      await delay(pollMs);
      events.push(...(await this.read()));
    }
    return events;
  }
}
