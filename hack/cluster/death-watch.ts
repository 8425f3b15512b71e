import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { Writable } from 'node:stream';

/**
 * Ends process groups when this process dies, even by SIGKILL. A small shell holds the other end of a pipe and is told
 * which groups there are; when the pipe closes, it kills those that remain. (Linux could tie a child's life to its
 * parent's, PR_SET_PDEATHSIG of prctl(2), but Node cannot ask for it.)
 */
export class DeathWatch {
  #shell: ChildProcessByStdio<Writable, null, null> | undefined;

  /** From now on the group that `leader` leads dies with us. */
  async add(leader: number): Promise<void> {
    this.#shell ??= startShell();
    const shell = this.#shell;
    shell.stdin.write(`add ${leader}\n`);
    if (shell.pid === undefined) await once(shell, 'spawn');
  }

  /** The group has ended; its number may soon be another's. */
  remove(leader: number): void {
    this.#shell?.stdin.write(`remove ${leader}\n`);
  }

  /** Ends the watch and whatever it still watches. */
  close(): void {
    this.#shell?.stdin.end();
    this.#shell = undefined;
  }
}

const SCRIPT = `
groups=' '
while read -r verb group; do
  case $verb in
    add) groups="$groups$group " ;;
    remove) groups="\${groups%% $group *} \${groups#* $group }" ;;
  esac
done
for group in $groups; do kill -KILL "-$group"; done
`;

/** In a session of its own, so that Ctrl-C in the terminal does not reach it; and it keeps nobody from exiting. */
function startShell(): ChildProcessByStdio<Writable, null, null> {
  const shell = spawn('sh', ['-c', SCRIPT], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
  shell.unref();
  (shell.stdin as Socket).unref();
  // Somebody killed it: what it watched is still written down in pids.json, for the next start.
  shell.stdin.on('error', () => undefined);
  return shell;
}
