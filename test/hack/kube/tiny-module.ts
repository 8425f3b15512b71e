import { type ChildProcessByStdio, execFileSync, spawn } from 'node:child_process';
import { access, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { Readable } from 'node:stream';
import type { Plan } from '../../../hack/kube/build.ts';
import { type BuildContext, ensureBuilt } from '../../../hack/kube/cache.ts';
import { until } from '../../support/until.ts';

/**
 * A small real Go module with one program, an empty cache, and the real Go behind a gate: while the gate is closed,
 * `go build` waits in front of it, which makes "in the middle of a build" a moment that tests can act in.
 */
export class TinyModule {
  readonly cacheDir: string;
  readonly plan: Plan;
  readonly env: NodeJS.ProcessEnv;
  readonly #root: string;

  private constructor(root: string) {
    this.#root = root;
    this.cacheDir = join(root, 'cache');
    this.env = { ...process.env, PATH: `${join(root, 'path')}:${process.env.PATH}` };
    this.plan = {
      name: 'tiny',
      subject: 'The tiny binaries',
      announcement: 'Building a tiny program',
      moduleDir: join(root, 'module'),
      targets: [{ package: 'example.test/tiny', file: 'greet' }],
      folders: [{ module: 'example.test/tiny', folder: 'assets', as: 'assets' }],
      ldflags: '-s -w -X main.greeting=hello',
    };
  }

  static async create(): Promise<TinyModule> {
    const tiny = new TinyModule(await mkdtemp(join(tmpdir(), 'sojourn-kube-')));
    await mkdir(join(tiny.plan.moduleDir, 'assets'), { recursive: true });
    await mkdir(join(tiny.#root, 'path'));
    await writeFile(join(tiny.plan.moduleDir, 'assets', 'note.txt'), 'kept');
    await tiny.requireGo('1.21');
    await tiny.writeProgram('package main\n\nvar greeting string\n\nfunc main() { println(greeting) }\n');
    const go = execFileSync('sh', ['-c', 'command -v go'], { encoding: 'utf8' }).trim();
    await writeFile(join(tiny.#root, 'path', 'go'), gate(tiny.#root, go), { mode: 0o755 });
    return tiny;
  }

  async requireGo(version: string): Promise<void> {
    await writeFile(join(this.plan.moduleDir, 'go.mod'), `module example.test/tiny\n\ngo ${version}\n`);
  }

  async writeProgram(source: string): Promise<void> {
    await writeFile(join(this.plan.moduleDir, 'main.go'), source);
  }

  /** Makes `go build` wait from now on. */
  closeGate(): Promise<void> {
    return writeFile(join(this.#root, 'closed'), '');
  }

  openGate(): Promise<void> {
    return rm(join(this.#root, 'closed'), { force: true });
  }

  /** The pids of the `go build` commands so far. */
  async builds(): Promise<number[]> {
    const log = join(this.#root, 'builds');
    // The file is there a moment before its first line.
    const lines = (await exists(log)) ? (await readFile(log, 'utf8')).split('\n') : [];
    return lines.filter((line) => line !== '').map(Number);
  }

  /** Resolves when `count` builds have begun. */
  async begun(count: number): Promise<void> {
    await until(`${count} builds to begin`, async () => (await this.builds()).length >= count);
  }

  /** Resolves when the cache says that a `go build` command belongs to a build. */
  async noted(pid: number): Promise<void> {
    await until(`the cache to name process ${pid}`, async () => {
      const files = (await exists(this.cacheDir)) ? await readdir(this.cacheDir, { recursive: true }) : [];
      const notes = files.filter((name) => basename(name) === 'go-process.json');
      const texts = await Promise.all(notes.map((name) => readFile(join(this.cacheDir, name), 'utf8')));
      return texts.some((text) => text.includes(`"pid":${pid},`));
    });
  }

  cached(): Promise<string[]> {
    return readdir(this.cacheDir);
  }

  /** Builds in this process. */
  ensure(options: Partial<BuildContext> = {}): Promise<string> {
    return ensureBuilt(this.plan, { cacheDir: this.cacheDir, env: this.env, report: () => undefined, ...options });
  }

  /** Builds in a process of its own. */
  ensureInChild(): BuildingChild {
    const script = join(import.meta.dirname, 'ensure-built.ts');
    const child = spawn(process.execPath, [script, JSON.stringify(this.plan), this.cacheDir], {
      env: this.env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    return new BuildingChild(child);
  }

  async remove(): Promise<void> {
    await this.openGate();
    await rm(this.#root, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** A process that builds, and what it has printed. */
export class BuildingChild {
  output = '';
  readonly pid: number | undefined;
  readonly ended: Promise<number | null>;
  readonly #child: ChildProcessByStdio<null, Readable, null>;

  constructor(child: ChildProcessByStdio<null, Readable, null>) {
    this.#child = child;
    this.pid = child.pid;
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      this.output += chunk;
    });
    this.ended = new Promise((resolve) => child.once('close', resolve));
  }

  async said(pattern: RegExp): Promise<void> {
    await until(`"${pattern.source}" in the output`, () => pattern.test(this.output), { seen: () => this.output });
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.ended;
  }
}

export async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}

function gate(root: string, go: string): string {
  return `#!/bin/sh
if [ "$1" = build ]; then
  echo $$ >> '${root}/builds'
  while [ -e '${root}/closed' ]; do sleep 0.05; done
fi
exec '${go}' "$@"
`;
}
