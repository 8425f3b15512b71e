import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { identify, isRunning, type ProcessIdentity } from './process-identity.ts';

/** Who holds a lock, and since when. */
export interface LockHolder {
  pid: number;
  since: Date;
}

/** A lock that this process holds. */
export interface Lock {
  release(): Promise<void>;
}

/**
 * Takes the lock `path`, or says who has it.
 *
 * A contender writes a file of its own, `PATH.PID.STARTTIME`, and then looks for others: it has the lock if no other
 * living process has such a file. Of two that come together at least one sees the other, so never both succeed (both
 * may withdraw and try again). Because a file's name is its owner's identity, removing what a dead process left can
 * never remove a living one's lock, which is the race of every scheme that breaks one shared lock file.
 */
export async function tryLock(path: string): Promise<{ lock: Lock } | { holder: LockHolder }> {
  await mkdir(dirname(path), { recursive: true });
  const self = await ownIdentity();
  const own = fileOf(path, self);
  for (let attempt = 1; ; attempt++) {
    if (!(await writeNew(own))) {
      // Another caller in this very process has it, or contends for it.
      return { holder: { pid: self.pid, since: (await heldSince(own)) ?? new Date() } };
    }
    const rivals = await livingRivals(path, self);
    if (rivals.length === 0) {
      await writeFile(own, new Date().toISOString());
      return { lock: releaseOnce(own) };
    }
    await rm(own, { force: true });
    const holder = rivals.find((rival) => rival.since !== undefined);
    if (holder?.since !== undefined) return { holder: { pid: holder.pid, since: holder.since } };
    // Only contenders, no holder yet: the different waits decide who comes first.
    await delay(Math.random() * 20 * Math.min(attempt, 10));
  }
}

/**
 * Waits until the lock `path` is free and takes it. A holder that dies frees it.
 * `onWait` is called at once and then every `everyMs` (default 5000) while somebody else has it.
 * Rejects with the signal's reason when `signal` aborts first.
 */
export async function waitForLock(
  path: string,
  options: { onWait: (holder: LockHolder) => void; everyMs?: number; signal?: AbortSignal },
): Promise<Lock> {
  let lastSaid = Number.NEGATIVE_INFINITY;
  for (;;) {
    options.signal?.throwIfAborted();
    const attempt = await tryLock(path);
    if ('lock' in attempt) return attempt.lock;
    if (performance.now() - lastSaid >= (options.everyMs ?? 5000)) {
      lastSaid = performance.now();
      options.onWait(attempt.holder);
    }
    await delay(100);
  }
}

/** A second call must not free the lock that this process may have taken again since. */
function releaseOnce(own: string): Lock {
  let released: Promise<void> | undefined;
  return {
    release: () => {
      released ??= rm(own, { force: true });
      return released;
    },
  };
}

interface Rival {
  pid: number;
  /** Undefined while it is only a contender. */
  since: Date | undefined;
}

async function livingRivals(path: string, self: ProcessIdentity): Promise<Rival[]> {
  const rivals: Rival[] = [];
  const prefix = `${basename(path)}.`;
  for (const name of await readdir(dirname(path))) {
    const match = name.startsWith(prefix) ? /^(\d+)\.(\d*)$/.exec(name.slice(prefix.length)) : null;
    if (match === null) continue;
    const identity: ProcessIdentity = { pid: Number(match[1]), startTime: match[2] ?? '' };
    if (identity.pid === self.pid && identity.startTime === self.startTime) continue;
    const file = join(dirname(path), name);
    if (await isRunning(identity)) {
      rivals.push({ pid: identity.pid, since: await heldSince(file) });
    } else {
      await rm(file, { force: true });
    }
  }
  return rivals;
}

async function heldSince(file: string): Promise<Date | undefined> {
  try {
    const text = await readFile(file, 'utf8');
    return text === '' ? undefined : new Date(text);
  } catch (error) {
    // It was released, or withdrawn, since the folder was listed: contend again.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function writeNew(file: string): Promise<boolean> {
  try {
    await writeFile(file, '', { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function fileOf(path: string, identity: ProcessIdentity): string {
  return `${path}.${identity.pid}.${identity.startTime}`;
}

async function ownIdentity(): Promise<ProcessIdentity> {
  const self = await identify(process.pid);
  if (self === undefined) throw new Error('this process does not find itself in /proc');
  return self;
}
