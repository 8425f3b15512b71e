import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { identify, type ProcessIdentity, signalGroup } from './process-identity.ts';
import { SetupError } from './setup-error.ts';

/** The Go command, set up for one module. */
export interface Go {
  /** Runs `go ARGS` in the module's folder. Rejects with a SetupError that holds Go's own message when it fails. */
  run(args: string[], options?: { onLine?: (line: string) => boolean }): Promise<string>;
}

/** How Go is run: where, in which environment, until when, and who is told of each child (to clean up after us). */
export interface GoOptions {
  /** What it builds, as the beginning of a sentence. */
  subject: string;
  moduleDir: string;
  env: NodeJS.ProcessEnv;
  signal?: AbortSignal;
  onChild: (child: ProcessIdentity) => Promise<void>;
}

/** The names that Go gives to this machine's operating system and processor. */
export function goPlatform(): { os: string; arch: string } {
  return { os: process.platform, arch: process.arch === 'x64' ? 'amd64' : process.arch };
}

/**
 * Finds Go and checks that it (or the toolchain that it fetches for this module, see go.dev/doc/toolchain) is new
 * enough for the module's `go` line.
 */
export async function findGo(options: GoOptions): Promise<Go> {
  const required = await requiredVersion(options.moduleDir);
  const advice = `install Go ${required} or newer from https://go.dev/dl and start again`;
  const go: Go = { run: (args, runOptions) => runGo(args, options, runOptions ?? {}) };
  let found: string;
  try {
    found = (await go.run(['env', 'GOVERSION'])).trim().replace(/^go/, '');
  } catch (error) {
    options.signal?.throwIfAborted();
    if (isMissingFile(error)) {
      throw new SetupError(`${options.subject} must be built once, and Go was not found: ${advice}.`);
    }
    if (!(error instanceof SetupError)) throw error;
    throw new SetupError(
      `${options.subject} must be built once, and the Go found here cannot do it: ${advice}.\n${error.message}`,
    );
  }
  if (!atLeast(found, required)) {
    throw new SetupError(`${options.subject} must be built once, and Go is only ${found}: ${advice}.`);
  }
  return go;
}

async function requiredVersion(moduleDir: string): Promise<string> {
  const text = await readFile(join(moduleDir, 'go.mod'), 'utf8');
  return /^go (\d+\.\d+)/m.exec(text)?.[1] ?? '1.0';
}

function atLeast(found: string, required: string): boolean {
  const [major = 0, minor = 0] = found.split('.').map((part) => Number.parseInt(part, 10));
  const [requiredMajor = 0, requiredMinor = 0] = required.split('.').map(Number);
  // A development version ("devel go1.27-...") has no leading number; whoever built it knows what it is.
  if (Number.isNaN(major)) return true;
  return major > requiredMajor || (major === requiredMajor && minor >= requiredMinor);
}

function isMissingFile(error: unknown): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === 'ENOENT';
}

/** `onLine` sees each line of standard error and answers whether it was progress; the rest is Go's message. */
async function runGo(
  args: string[],
  options: GoOptions,
  { onLine }: { onLine?: (line: string) => boolean },
): Promise<string> {
  options.signal?.throwIfAborted();
  // A process group of its own, so that a cancelled build takes its compilers and linkers with it.
  const child = spawn('go', args, {
    cwd: options.moduleDir,
    env: goEnvironment(options.env),
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const cancel = () => stopGroup(child);
  options.signal?.addEventListener('abort', cancel, { once: true });
  try {
    const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
    const output = collect(child, onLine);
    // 'close' rejects when the program does not exist; the streams then end by themselves.
    const [[code, signal], { stdout, message }] = await Promise.all([closed, output, announce(child, options)]);
    options.signal?.throwIfAborted();
    if (code === 0) return stdout;
    throw new SetupError(`"go ${args[0] ?? ''}" failed (${signal ?? `exit code ${code}`}):\n${message.trimEnd()}`);
  } finally {
    options.signal?.removeEventListener('abort', cancel);
  }
}

async function announce(child: ChildProcessByStdio<null, Readable, Readable>, options: GoOptions): Promise<void> {
  const identity = child.pid === undefined ? undefined : await identify(child.pid);
  if (identity !== undefined) await options.onChild(identity);
}

async function collect(
  child: ChildProcessByStdio<null, Readable, Readable>,
  onLine: ((line: string) => boolean) | undefined,
): Promise<{ stdout: string; message: string }> {
  let stdout = '';
  let message = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk;
  });
  for await (const line of createInterface({ input: child.stderr })) {
    if (onLine?.(line) !== true) message += `${line}\n`;
  }
  return { stdout, message };
}

function stopGroup(child: ChildProcessByStdio<null, Readable, Readable>): void {
  const { pid } = child;
  if (pid === undefined) return;
  signalGroup(pid, 'SIGTERM');
  const timer = setTimeout(() => signalGroup(pid, 'SIGKILL'), 2000);
  child.once('close', () => {
    clearTimeout(timer);
  });
}

/** Whatever the user set for their own work (a workspace, flags, another platform, cgo) must not change our binaries. */
function goEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { os, arch } = goPlatform();
  return { ...env, GOFLAGS: '', GOWORK: 'off', GO111MODULE: 'on', CGO_ENABLED: '0', GOOS: os, GOARCH: arch };
}
