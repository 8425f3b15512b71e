import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defaultCacheDir } from '../../../hack/kube/cache.ts';

const fileOf = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const requirements = fileOf('requirements.txt');
const source = fileOf('source.txt');
const installTimeoutMs = 120_000;

/** Why the SDK cannot be had on this machine now: no fault of what is tested. */
export class SdkMissing extends Error {}

export interface InstalledSdk {
  /** For PYTHONPATH. */
  packages: string;
  /** The folder of its own examples. */
  examples: string;
}

interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

/**
 * AgentCube's Python SDK and its examples: installed from PyPI into the user's cache once, versions and hashes pinned.
 * @param report told what takes time.
 * @throws SdkMissing without Python 3.10, pip or a way to PyPI.
 */
export async function installSdk(report: (line: string) => void): Promise<InstalledSdk> {
  const pins = await Promise.all([requirements, source].map(async (file) => await readFile(file)));
  const hash = createHash('sha256').update(Buffer.concat(pins)).digest('hex').slice(0, 16);
  const cache = defaultCacheDir(process.env);
  const target = join(cache, `agentcube-sdk-${hash}`);
  const installed = { packages: join(target, 'packages'), examples: join(target, 'agentcube_sdk-0.1.0', 'examples') };
  const version = await python(['-c', 'import sys; sys.exit(sys.version_info < (3, 10))']);
  if (version.code !== 0) throw new SdkMissing('there is no python3 of at least version 3.10');
  if (await exists(target)) return installed;
  report(`installing AgentCube's Python SDK from PyPI into ${target}`);
  await mkdir(cache, { recursive: true });
  const unfinished = await mkdtemp(join(cache, 'unfinished-sdk-'));
  try {
    await installInto(unfinished);
    await rename(unfinished, target).catch(async (error: unknown) => {
      // Another run was faster.
      if (!(await exists(target))) throw error;
    });
    return installed;
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}

async function installInto(dir: string): Promise<void> {
  const pip = async (command: string, ...args: string[]) => {
    const common = ['--quiet', '--no-deps', '--require-hashes', ...args];
    const { code, stderr } = await python(['-m', 'pip', '--disable-pip-version-check', command, ...common]);
    if (code !== 0) throw failure(stderr);
  };
  await pip('install', '--only-binary=:all:', '--target', join(dir, 'packages'), '--requirement', requirements);
  await pip('download', '--no-binary=agentcube-sdk', '--dest', dir, '--requirement', source);
  const { code, stderr } = await python(['-m', 'tarfile', '--extract', join(dir, 'agentcube_sdk-0.1.0.tar.gz'), dir]);
  if (code !== 0) throw new Error(`the source distribution cannot be unpacked:\n${stderr}`);
}

/** Runs Python with these arguments and, if given, exactly this environment. */
export async function python(args: readonly string[], env?: NodeJS.ProcessEnv, cwd?: string): Promise<Outcome> {
  return await new Promise((resolve) => {
    execFile('python3', args, { env: env ?? process.env, cwd, timeout: installTimeoutMs }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 127;
      resolve({ code, stdout, stderr });
    });
  });
}

function failure(stderr: string): Error {
  if (/No module named pip/.test(stderr)) return new SdkMissing('python3 has no pip');
  const offline = /No matching distribution|Could not fetch|NewConnectionError|Temporary failure|timed out|ProxyError/i;
  return offline.test(stderr) ? new SdkMissing('PyPI cannot be reached') : new Error(`pip failed:\n${stderr}`);
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
