import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { checkout, exampleFiles } from '../../hack/start/places.ts';
import { welcome } from '../../hack/start/welcome.ts';
import { useCluster } from '../support/cluster.ts';

/** Runs a script as a user's shell would, stopping at the first command that fails. */
async function shell(script: string): Promise<{ code: number; output: string }> {
  const child = spawn('sh', ['-euc', script], { cwd: checkout, stdio: ['ignore', 'pipe', 'pipe'] });
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { code: code as number, output: stdout + stderr };
}

/** Documents with commands, in the order in which a newcomer meets them. */
const manuals = ['README.md', 'proxy/README.md', 'apiserver/README.md', 'daemon/README.md'];

describe('the documentation', () => {
  const env = useCluster();
  before(async () => {
    await env.kubectl(['apply', '-f', exampleFiles.codeInterpreter]);
  });

  it('has commands in its manuals that work in the order in which they stand', async function () {
    if (spawnSync('python3', ['--version']).status !== 0) {
      process.stderr.write('python3 is not installed: the Python example of README.md was not run\n');
      this.skip();
    }
    const texts = await Promise.all(manuals.map((manual) => readFile(join(checkout, manual), 'utf8')));
    const blocks = [...texts.join('\n').matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block]) => block ?? '');
    expect(blocks.length).to.be.greaterThan(3);
    const script = blocks.join('\n').replace('. .sojourn/env', `. '${join(env.cluster.plane.dir, 'env')}'`);
    const { code, output } = await shell(script);
    expect(code, output).to.equal(0);
    expect(output).to.contain('"stdout":"5050\\n"');
    expect(output).to.contain('# Sojourn');
  });

  it('prints commands at npm start that are README’s', async () => {
    const readme = await readFile(join(checkout, 'README.md'), 'utf8');
    const printed = welcome(join(checkout, '.sojourn'))
      .split('\n')
      .filter((line) => line.startsWith('  kubectl ') && !line.includes('…'));
    const commands = printed.map((line) => line.replace(/ {2,}#.*$/, '').trim());
    expect(commands.length).to.be.greaterThan(4);
    for (const command of commands) expect(readme.replace(/ --timeout=60s/g, '')).to.contain(command);
  });

  it('names in proxy/README.md every metric of the proxy and no other, and only flags that it has', async () => {
    const manual = await readFile(join(checkout, 'proxy', 'README.md'), 'utf8');
    const metrics = await (
      await fetch(`http://127.0.0.1:${env.cluster.sojourn.ports.sojournProxyOperations}/metrics`)
    ).text();
    const served = [...metrics.matchAll(/^# TYPE (sojourn_\w+) /gm)].map(([, name]) => name);
    const told = new Set([...manual.matchAll(/\bsojourn_[a-z_]+\b/g)].map(([name]) => name));
    expect([...told].sort()).to.deep.equal([...served].sort());
    const { stdout } = spawnSync(process.execPath, ['proxy/main.ts', '--help'], { cwd: checkout, encoding: 'utf8' });
    const flags = [...stdout.matchAll(/^ {2}--([\w-]+)/gm)].map(([, name]) => name);
    const named = new Set([...manual.matchAll(/(?<![\w-])--([a-z][\w-]+)/g)].map(([, name]) => name));
    const foreign = [
      'oidc-issuer-url',
      'authentication-token-webhook-cache-ttl',
      'audience',
      'fail-with-body',
      'cacert',
    ];
    expect([...named].filter((name) => !flags.includes(name) && !foreign.includes(name ?? ''))).to.deep.equal([]);
  });

  it('names in ARCHITECTURE.md only files and folders that exist', async () => {
    const architecture = await readFile(join(checkout, 'ARCHITECTURE.md'), 'utf8');
    const paths = [...architecture.matchAll(/`((?:apis|apiserver|proxy|daemon|hack|deploy|test)\/[\w./-]*)`/g)].map(
      ([, path]) => path ?? '',
    );
    expect(paths.length).to.be.greaterThan(20);
    expect(paths.filter((path) => !existsSync(join(checkout, path)))).to.deep.equal([]);
  });
});
