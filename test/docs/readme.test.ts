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

describe('the documentation', () => {
  const env = useCluster();
  before(async () => {
    await env.kubectl(['apply', '-f', exampleFiles.codeInterpreter]);
  });

  it('has commands in README.md that work in the order in which they stand', async function () {
    if (spawnSync('python3', ['--version']).status !== 0) {
      process.stderr.write('python3 is not installed: the Python example of README.md was not run\n');
      this.skip();
    }
    const readme = await readFile(join(checkout, 'README.md'), 'utf8');
    const blocks = [...readme.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block]) => block ?? '');
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

  it('names in ARCHITECTURE.md only files and folders that exist', async () => {
    const architecture = await readFile(join(checkout, 'ARCHITECTURE.md'), 'utf8');
    const paths = [...architecture.matchAll(/`((?:apis|apiserver|proxy|daemon|hack|deploy|test)\/[\w./-]*)`/g)].map(
      ([, path]) => path ?? '',
    );
    expect(paths.length).to.be.greaterThan(20);
    expect(paths.filter((path) => !existsSync(join(checkout, path)))).to.deep.equal([]);
  });
});
