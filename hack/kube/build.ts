import { copyFile, mkdir, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { Go } from './go.ts';
import { formatCount, formatDuration, type Reporter, withProgress } from './progress.ts';

/** One program to build. */
export interface Target {
  /** Import path of a main package, of the module itself or of a dependency named by its go.mod. */
  package: string;
  /** The name of the file that it becomes. */
  file: string;
}

/** A folder of a dependency's module that is kept beside the programs. */
export interface ModuleFolder {
  module: string;
  folder: string;
  /** The name that it gets. */
  as: string;
}

/** What is built from one Go module. */
export interface Plan {
  /** Names the entry in the cache. */
  name: string;
  /** What is built, in the plural, as the beginning of a sentence: `The Kubernetes binaries`. */
  subject: string;
  /** Said when a build begins. */
  announcement: string;
  moduleDir: string;
  targets: Target[];
  folders: ModuleFolder[];
  /** For the linker, of every target. */
  ldflags: string;
}

/** Builds the whole plan into the empty folder `into`. */
export async function build(plan: Plan, go: Go, into: string, reporter: Reporter): Promise<void> {
  const started = performance.now();
  reporter.report(plan.announcement);
  await download(go, reporter);
  await compile(plan, go, into, reporter);
  for (const { module, folder, as } of plan.folders) {
    const moduleDir = (await go.run(['list', '-m', '-f', '{{.Dir}}', module])).trim();
    await copyTree(join(moduleDir, folder), join(into, as));
  }
  reporter.report(`  built in ${formatDuration(performance.now() - started)}`);
}

async function download(go: Go, reporter: Reporter): Promise<void> {
  let fetched = 0;
  const onLine = (line: string): boolean => {
    if (!line.startsWith('# get ')) return false;
    if (line.includes(': 200 ')) fetched++;
    return true;
  };
  await withProgress(
    reporter,
    () => `downloading Go modules  ${formatCount(fetched)} files`,
    () => go.run(['mod', 'download', '-x'], { onLine }),
  );
}

async function compile(plan: Plan, go: Go, into: string, reporter: Reporter): Promise<void> {
  const packages = plan.targets.map((target) => target.package);
  // -trimpath: no path of this machine in the binaries. -buildvcs=false: no commit either, so that it builds from an
  // unpacked archive, and in a checkout that belongs to another user, where git refuses to answer.
  const flags = ['-trimpath', '-buildvcs=false', `-ldflags=${plan.ldflags}`];
  const stale = await withProgress(
    reporter,
    () => 'looking which packages need compiling',
    () => go.run(['list', ...flags, '-deps', '-f', '{{if .Stale}}{{.ImportPath}}{{end}}', ...packages]),
  );
  const remaining = new Set(stale.split('\n').filter((line) => line !== ''));
  const total = remaining.size;
  const describe = (): string => {
    const done = total - remaining.size;
    return `compiling  ${formatCount(done)} of ${formatCount(total)} packages`;
  };
  const binaries = join(into, 'bin');
  await mkdir(binaries);
  await withProgress(reporter, describe, () =>
    // -v names each package on a line of its own when it is compiled.
    go.run(['build', '-v', ...flags, '-o', `${binaries}/`, ...packages], { onLine: (line) => remaining.delete(line) }),
  );
  for (const target of plan.targets) {
    const built = target.package.slice(target.package.lastIndexOf('/') + 1);
    if (built !== target.file) await rename(join(binaries, built), join(binaries, target.file));
  }
}

/** Not fs.cp: it would also copy that the module cache's folders are read-only, and then nobody could remove ours. */
async function copyTree(from: string, to: string): Promise<void> {
  await mkdir(to);
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const source = join(from, entry.name);
    const copy = join(to, entry.name);
    await (entry.isDirectory() ? copyTree(source, copy) : copyFile(source, copy));
  }
}
