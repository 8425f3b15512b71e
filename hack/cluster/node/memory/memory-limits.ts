import type { Log } from '../../../../apis/runtime/log.ts';
import { type CgroupParent, findCgroupParent } from './cgroup.ts';
import { MemoryWatch } from './memory-watch.ts';

/** Holds one attempt of a container to its memory limit. */
export interface MemoryLimit {
  /** File that a process writes its id to before it starts the container's, where it has to do so itself. */
  readonly joinFile?: string;
  /** The container's first process has been started, as leader of a session. */
  started(pid: number): void;
  /** Whether something was killed because of the limit. */
  exceeded(): Promise<boolean>;
  /** Ends it; all processes have ended. */
  release(): Promise<void>;
}

/** Enforces memory limits as well as this machine lets us: by cgroups where they can be made, else by looking. */
export class MemoryLimits {
  readonly #parent: CgroupParent | undefined;
  readonly #watch = new MemoryWatch();

  private constructor(parent: CgroupParent | undefined) {
    this.#parent = parent;
  }

  static async find(log: Log): Promise<MemoryLimits> {
    const parent = await findCgroupParent();
    log.info('memory limits are enforced', { by: parent === undefined ? 'looking at processes' : parent.dir });
    return new MemoryLimits(parent);
  }

  /**
   * Prepares a limit.
   * @param key unique among all that there are at once; letters, digits, `-` and `.`
   */
  async prepare(key: string, bytes: number): Promise<MemoryLimit> {
    return this.#parent === undefined ? this.#watch.prepare(bytes) : await this.#parent.prepare(key, bytes);
  }
}
