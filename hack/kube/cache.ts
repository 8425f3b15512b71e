import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { access, mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { build, type Plan } from './build.ts';
import { findGo, goPlatform } from './go.ts';
import { type Lock, waitForLock } from './lock.ts';
import { identify, isRunning, type ProcessIdentity, signalGroup } from './process-identity.ts';
import { formatDuration, type Reporter } from './progress.ts';

/** Where results are kept, and how a build is run when there is none yet. */
export interface BuildContext extends Reporter {
  cacheDir: string;
  env: NodeJS.ProcessEnv;
  signal?: AbortSignal;
}

/** `$SOJOURN_CACHE`, else `$XDG_CACHE_HOME/sojourn`, else `~/.cache/sojourn` (XDG Base Directory Specification). */
export function defaultCacheDir(env: NodeJS.ProcessEnv): string {
  if (env.SOJOURN_CACHE) return env.SOJOURN_CACHE;
  return join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'sojourn');
}

/**
 * The folder that holds what `plan` builds: `bin/FILE` for each target and the plan's folders. Built first if it is not
 * there; it appears by one rename of a complete folder, so that it is whole or absent however the build ended. When
 * another process is building it, waits for that one and says so every five seconds.
 * Rejects with a SetupError when it cannot be built and with the signal's reason when cancelled.
 */
export async function ensureBuilt(plan: Plan, context: BuildContext): Promise<string> {
  const entry = join(context.cacheDir, `${plan.name}-${await inputsHash(plan)}`);
  if (await exists(entry)) return entry;
  const lock = await takeBuildLock(entry, context);
  try {
    if (!(await exists(entry))) {
      await removeLeftovers(context.cacheDir);
      await buildInto(entry, plan, context);
    }
    return entry;
  } finally {
    await lock.release();
  }
}

/**
 * A hash over all that decides what the binaries do. Go's own version is not part of it: the module fixes the least one
 * and every dependency, a newer compiler makes the same programs, and asking for the version would make Go necessary
 * even when there is nothing to build.
 */
async function inputsHash(plan: Plan): Promise<string> {
  const hash = createHash('sha256');
  hash.update(JSON.stringify([goPlatform(), plan.targets, plan.folders, plan.ldflags]));
  const sources = (await readdir(plan.moduleDir)).filter((name) => /^go\.(mod|sum)$|\.go$/.test(name));
  for (const name of sources.sort()) {
    const content = await readFile(join(plan.moduleDir, name));
    hash.update(`\0${name}\0${content.length}\0`).update(content);
  }
  return hash.digest('hex').slice(0, 16);
}

function takeBuildLock(entry: string, context: BuildContext): Promise<Lock> {
  return waitForLock(`${entry}.lock`, {
    signal: context.signal,
    onWait: ({ pid, since }) => {
      const elapsed = formatDuration(Date.now() - since.getTime());
      context.report(`  waiting for process ${pid}, which has been building the same for ${elapsed}`);
    },
  });
}

async function buildInto(entry: string, plan: Plan, context: BuildContext): Promise<void> {
  const self = await identify(process.pid);
  const workshop = `${entry}.building.${process.pid}.${self?.startTime ?? ''}`;
  const result = join(workshop, 'result');
  await mkdir(result, { recursive: true });
  try {
    const go = await findGo({
      subject: plan.subject,
      ...context,
      moduleDir: plan.moduleDir,
      onChild: (child) => writeFile(join(workshop, CHILD_FILE), JSON.stringify(child)),
    });
    await build(plan, go, result, context);
    await flushTree(result);
    await rename(result, entry);
    await flush(dirname(entry));
  } finally {
    await rm(workshop, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** In a workshop: the identity of the Go process that works in it. */
const CHILD_FILE = 'go-process.json';

/** Removes the workshops of builders that were killed, and ends the Go processes that outlived them. */
async function removeLeftovers(cacheDir: string): Promise<void> {
  for (const name of await readdir(cacheDir)) {
    const match = /\.building\.(\d+)\.(\d*)$/.exec(name);
    if (match === null || (await isRunning({ pid: Number(match[1]), startTime: match[2] ?? '' }))) continue;
    const workshop = join(cacheDir, name);
    const child = await readChild(workshop);
    if (child !== undefined && (await isRunning(child))) signalGroup(child.pid, 'SIGKILL');
    await rm(workshop, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function readChild(workshop: string): Promise<ProcessIdentity | undefined> {
  try {
    const text = await readFile(join(workshop, CHILD_FILE), 'utf8');
    // Empty when the builder was killed while writing it.
    return text === '' ? undefined : (JSON.parse(text) as ProcessIdentity);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Without it a power failure after the rename could leave a folder of empty files that counts as built. */
async function flushTree(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    await (entry.isDirectory() ? flushTree(path) : flush(path));
  }
  await flush(folder);
}

async function flush(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
