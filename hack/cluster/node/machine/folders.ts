import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** What one container sees of the disk. */
export interface ContainerFolders {
  home: string;
  /** HOME/workspace: the working directory, and where a `workingDir` that no volume has is put beneath. */
  workspace: string;
  temporary: string;
  /** File that stands for the container's termination message path. */
  terminationLog: string;
}

const podFolder = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * The node's folders on disk: `pods/UID/CONTAINER/` with `home/`, `home/workspace/`, `tmp/` and one log per attempt.
 * They live as long as their Pod: unlike on a real node, a restarted container finds the files of the attempt before.
 * `pods/UID/.volumes/NAME/` are its volumes, but for those that outlive it in `volumes/`.
 */
export class NodeFolders {
  /** Folders of claims. */
  readonly volumes: string;
  readonly #pods: string;

  constructor(dir: string) {
    this.#pods = join(dir, 'pods');
    this.volumes = join(dir, 'volumes');
  }

  /** Folder of the volumes that live as long as a Pod. */
  podVolumes(uid: string): string {
    return join(this.#pods, uid, '.volumes');
  }

  /** Uids of all Pods that have a folder, those of an earlier run included. */
  async podUids(): Promise<string[]> {
    await mkdir(this.#pods, { recursive: true });
    return (await readdir(this.#pods)).filter((name) => podFolder.test(name));
  }

  /** Makes what an attempt of a container needs; the termination message of the attempt before it is gone then. */
  async prepare(uid: string, container: string): Promise<ContainerFolders> {
    const folder = this.#container(uid, container);
    const home = join(folder, 'home');
    const workspace = join(home, 'workspace');
    const temporary = join(folder, 'tmp');
    await mkdir(workspace, { recursive: true });
    await mkdir(temporary, { recursive: true });
    const terminationLog = join(folder, 'termination-log');
    await writeFile(terminationLog, '');
    return { home, workspace, temporary, terminationLog };
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
