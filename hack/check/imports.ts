import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Checks that imports run one way: apis <- daemon, apis <- proxy <- apiserver; and that nothing the daemon loads,
 * however far away, is a Kubernetes client.
 */

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Folders each part may import from, besides itself. */
const allowed: Record<string, readonly string[]> = {
  apis: [],
  daemon: ['apis'],
  proxy: ['apis'],
  // What the apiserver shares with the proxy: the invocation path and the review of users.
  apiserver: ['apis', 'proxy/invocation', 'proxy/access'],
};
const neverInDaemon = ['@kubernetes/client-node', 'apis/client'];

type Imports = Map<string, string[]>;

async function readImports(): Promise<Imports> {
  const imports: Imports = new Map();
  for (const part of Object.keys(allowed)) {
    for (const entry of await readdir(join(root, part), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !entry.name.endsWith('.ts')) continue;
      const file = join(entry.parentPath, entry.name);
      const text = await readFile(file, 'utf8');
      const found = [
        ...text.matchAll(
          /(?:^|\n)\s*(?:import|export)\b[^;'"]*?from\s*'([^']+)'|import\(\s*'([^']+)'\s*\)|\nimport\s*'([^']+)'/g,
        ),
      ];
      const targets = found.map(([, from, dynamic, bare]) => from ?? dynamic ?? bare ?? '');
      imports.set(
        relative(root, file),
        targets.map((target) => (target.startsWith('.') ? relative(root, join(dirname(file), target)) : target)),
      );
    }
  }
  return imports;
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

function wrongDirections(imports: Imports): string[] {
  const problems: string[] = [];
  for (const [file, targets] of imports) {
    const part = file.split('/')[0] ?? '';
    for (const target of targets) {
      const isOurs =
        Object.keys(allowed).some((name) => isWithin(target, name)) ||
        isWithin(target, 'hack') ||
        isWithin(target, 'test');
      if (!isOurs || isWithin(target, part)) continue;
      if (!(allowed[part] ?? []).some((folder) => isWithin(target, folder)))
        problems.push(`${file} must not import ${target}`);
    }
  }
  return problems;
}

function heavyDaemon(imports: Imports): string[] {
  const problems: string[] = [];
  const seen = new Set<string>();
  const waiting: [file: string, by: string][] = [['daemon/main.ts', 'daemon/main.ts']];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const [file, by] = next;
    if (neverInDaemon.some((name) => isWithin(file, name))) problems.push(`the daemon loads ${file} through ${by}`);
    if (seen.has(file)) continue;
    seen.add(file);
    for (const target of imports.get(file) ?? []) waiting.push([target, file]);
  }
  return problems;
}

const imports = await readImports();
const problems = [...wrongDirections(imports), ...heavyDaemon(imports)];
for (const problem of problems) process.stderr.write(`${problem}\n`);
process.stdout.write(problems.length === 0 ? `imports: ${imports.size} files run one way\n` : '');
process.exitCode = problems.length === 0 ? 0 : 1;
