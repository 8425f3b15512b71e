import { mkdir, readdir, rm } from 'node:fs/promises';
import { join, posix, resolve } from 'node:path';

/** What one container sees of the disk. */
export interface ContainerFolders {
  home: string;
  /** The working directory: HOME/workspace, or the container's `workingDir` beneath that. */
  work: string;
  temporary: string;
}

const podFolder = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * The node's folders on disk: `pods/UID/CONTAINER/` with `home/`, `home/workspace/`, `tmp/` and one log per attempt.
 * They live as long as their Pod: unlike on a real node, a restarted container finds the files of the attempt before.
 */
export class NodeFolders {
  readonly #pods: string;

  constructor(dir: string) {
    this.#pods = join(dir, 'pods');
  }

  /** Uids of all Pods that have a folder, those of an earlier run included. */
  async podUids(): Promise<string[]> {
    await mkdir(this.#pods, { recursive: true });
    return (await readdir(this.#pods)).filter((name) => podFolder.test(name));
  }

  async prepare(uid: string, container: string, workingDir?: string): Promise<ContainerFolders> {
    const folder = this.#container(uid, container);
    const home = join(folder, 'home');
    // Joined to "/" first, so that no ".." leads out of the workspace.
    const work = resolve(home, 'workspace', `.${posix.join('/', workingDir ?? '')}`);
    const temporary = join(folder, 'tmp');
    await mkdir(work, { recursive: true });
    await mkdir(temporary, { recursive: true });
    return { home, work, temporary };
  }

  /** Log of one attempt; attempts are numbered from 0 as restartCount is. */
  log(uid: string, container: string, attempt: number): string {
    return join(this.#container(uid, container), `${attempt}.log`);
  }

  /** Keeps the logs of this attempt and the one before it, as kubelet's garbage collection of containers does. */
  async dropOldLogs(uid: string, container: string, attempt: number): Promise<void> {
    if (attempt >= 2) await rm(this.log(uid, container, attempt - 2), { force: true });
  }

  async removePod(uid: string): Promise<void> {
    await rm(join(this.#pods, uid), { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  }

  #container(uid: string, container: string): string {
    return join(this.#pods, uid, container);
  }
}
