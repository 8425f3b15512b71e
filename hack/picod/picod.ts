import { join } from 'node:path';
import type { Plan } from '../kube/build.ts';
import { defaultCacheDir, ensureBuilt } from '../kube/cache.ts';
import type { Reporter } from '../kube/progress.ts';

/** Where AgentCube's PicoD comes from; everything has a default but the reporter. */
export interface PicodOptions extends Reporter {
  signal?: AbortSignal;
  /** Default: process.env. */
  env?: NodeJS.ProcessEnv;
}

/**
 * AgentCube's own PicoD, the version that go.mod requires: built on first use (seconds to a minute, needs Go), afterwards
 * found in the cache at once. Answers the path of the executable; rejects as {@link ensureBuilt}.
 */
export async function ensurePicod(options: PicodOptions): Promise<string> {
  const env = options.env ?? process.env;
  const entry = await ensureBuilt(plan, { ...options, env, cacheDir: defaultCacheDir(env) });
  return join(entry, 'bin', 'picod');
}

const plan: Plan = {
  name: 'picod',
  subject: 'The binaries of AgentCube’s PicoD',
  announcement: "Building AgentCube's PicoD (once)",
  moduleDir: import.meta.dirname,
  targets: [{ package: 'github.com/volcano-sh/agentcube/cmd/picod', file: 'picod' }],
  folders: [],
  ldflags: '-s -w',
};
