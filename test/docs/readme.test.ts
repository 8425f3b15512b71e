import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { checkout, exampleFiles } from '../../hack/start/places.ts';
import { welcome } from '../../hack/start/welcome.ts';
import { useCluster } from '../support/cluster.ts';
import { skip } from '../support/skip.ts';

/** Runs a script as a user's shell would, stopping at the first command that fails. */
async function shell(script: string): Promise<{ code: number; output: string }> {
  const child = spawn('sh', ['-euc', script], { cwd: checkout, stdio: ['ignore', 'pipe', 'pipe'] });
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { code: code as number, output: stdout + stderr };
}

/** Documents with commands, in the order in which a newcomer meets them. */
const manuals = [
  'README.md',
  'proxy/README.md',
  'apiserver/README.md',
  'apiserver/CUSTOM-RESOURCE.md',
  'apiserver/OPERATION.md',
  'daemon/README.md',
];

const read = (document: string) => readFile(join(checkout, document), 'utf8');

/** Of all metrics of Sojourn that a process serves. */
async function metricsOf(operationsPort: number): Promise<string[]> {
  const metrics = await (await fetch(`http://127.0.0.1:${operationsPort}/metrics`)).text();
  return [...metrics.matchAll(/^# TYPE (sojourn_\w+) /gm)].map(([, name]) => name ?? '');
}

const metricsIn = (manual: string) => new Set([...manual.matchAll(/\bsojourn_[a-z_]+\b/g)].map(([name]) => name));

/** The flags that a manual names, but for those of other programs, and that the binary does not have. */
function unknownFlags(manual: string, { main, foreign = [] }: { main: string; foreign?: string[] }): string[] {
  const { stdout } = spawnSync(process.execPath, [main, '--help'], { cwd: checkout, encoding: 'utf8' });
  const flags = [...stdout.matchAll(/^ {2}--([\w-]+)/gm)].map(([, name]) => name);
  const named = new Set([...manual.matchAll(/(?<![\w-])--([a-z][\w-]+)/g)].map(([, name]) => name ?? ''));
  return [...named].filter((name) => !flags.includes(name) && !['help', ...foreign].includes(name));
}

describe('the documentation', () => {
  const env = useCluster();
  before(async () => {
    await env.kubectl(['apply', '-f', exampleFiles.codeInterpreter]);
  });

  it('has commands in its manuals that work in the order in which they stand', async function () {
    this.timeout(300_000);
    if (spawnSync('python3', ['--version']).status !== 0) {
      skip(this, 'python3 is not installed, and the manuals have an example in Python');
    }
    const texts = await Promise.all(manuals.map(read));
    const blocks = [...texts.join('\n').matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block]) => block ?? '');
    expect(blocks.length).to.be.greaterThan(3);
    const script = blocks.join('\n').replace('. .sojourn/env', `. '${join(env.cluster.plane.dir, 'env')}'`);
    const { code, output } = await shell(script);
    expect(code, output).to.equal(0);
    expect(output).to.contain('"stdout":"5050\\n"');
    expect(output).to.contain('# Sojourn');
  });

  it('prints commands at npm start that are README’s', async () => {
    const readme = await read('README.md');
    const printed = welcome(join(checkout, '.sojourn'))
      .split('\n')
      .filter((line) => line.startsWith('  kubectl ') && !line.includes('…'));
    const commands = printed.map((line) => line.replace(/ {2,}#.*$/, '').trim());
    expect(commands.length).to.be.greaterThan(4);
    for (const command of commands) expect(readme.replace(/ --timeout=60s/g, '')).to.contain(command);
  });

  it('names in proxy/README.md every metric of the proxy and no other, and only flags that it has', async () => {
    const manual = await read('proxy/README.md');
    const served = await metricsOf(env.cluster.sojourn.ports.sojournProxyOperations);
    expect([...metricsIn(manual)].sort()).to.deep.equal(served.sort());
    const foreign = [
      'oidc-issuer-url',
      'authentication-token-webhook-cache-ttl',
      'audience',
      'fail-with-body',
      'cacert',
    ];
    expect(unknownFlags(manual, { main: 'proxy/main.ts', foreign })).to.deep.equal([]);
  });

  it('names every metric of the API server there or in its own manuals, and only flags that it has', async () => {
    const served = await metricsOf(env.cluster.sojourn.ports.sojournApiserverOperations);
    const proxys = metricsIn(await read('proxy/README.md'));
    const operation = await read('apiserver/OPERATION.md');
    const own = metricsIn(operation + (await read('apiserver/README.md')));
    expect(served.filter((name) => !proxys.has(name) && !own.has(name))).to.deep.equal([]);
    // The one that is said to be the proxy's alone.
    expect([...own].filter((name) => !served.includes(name))).to.deep.equal(['sojourn_session_creations_total']);
    expect(unknownFlags(operation, { main: 'apiserver/main.ts' })).to.deep.equal([]);
  });

  it('names only files and folders that exist', async () => {
    const folders = ['apis', 'apiserver', 'proxy', 'daemon', 'hack', 'deploy', 'test'];
    const rooted = new RegExp(`^(${folders.join('|')})/`);
    const entries = await Promise.all(
      folders.map(async (folder) => {
        const paths = await readdir(join(checkout, folder), { recursive: true });
        return paths.map((path) => `/${folder}/${path}`);
      }),
    );
    const tree = entries.flat();
    for (const document of ['ARCHITECTURE.md', ...manuals]) {
      const paths = [...(await read(document)).matchAll(/`([\w./-]+)`/g)].map(([, path]) => path ?? '');
      // A path is the repository's, or the end of one whose folder the text is about.
      const absent = paths.filter((path) =>
        rooted.test(path)
          ? !existsSync(join(checkout, path))
          : path.endsWith('.ts') && !tree.some((entry) => entry.endsWith(`/${path}`)),
      );
      expect(absent, document).to.deep.equal([]);
      if (document === 'ARCHITECTURE.md') expect(paths.length).to.be.greaterThan(40);
    }
  });

  it('has links that lead to a document and a heading in it', async () => {
    for (const document of ['ARCHITECTURE.md', ...manuals]) {
      const links = [...(await read(document)).matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g)];
      for (const [link, path = '', heading] of links) {
        const target = path === '' ? document : join(dirname(document), path);
        expect(existsSync(join(checkout, target)), `${document}: ${link}`).to.equal(true);
        if (heading === undefined) continue;
        const headings = [...(await read(target)).matchAll(/^#+ (.*)$/gm)].map(([, text]) => anchorOf(text ?? ''));
        expect(headings, `${document}: ${link}`).to.include(heading);
      }
    }
  });
});

/** As GitHub makes it of a heading. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\w\s-]/g, '')
    .replace(/\s/g, '-');
}
