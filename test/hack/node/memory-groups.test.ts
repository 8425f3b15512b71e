import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { findCgroupParent } from '../../../hack/cluster/node/memory/cgroup.ts';
import { skip } from '../../support/skip.ts';

const none = 'no cgroup can be made here; run the tests where one can, as root of a container for example';

describe('groups for memory limits', () => {
  it('of another node that lives are let alone, also while nothing runs in them yet, and those of a dead one go', async function () {
    const parent = await findCgroupParent();
    if (parent === undefined) skip(this, none);
    const [living, dead] = [spawn('sleep', ['1000']), spawn('true')];
    await once(dead, 'exit');
    const [kept, left] = [living, dead].map(({ pid }) => `sojourn-${pid}-some-container`) as [string, string];
    try {
      for (const name of [kept, left]) await mkdir(join(parent.dir, name));
      const again = await findCgroupParent();
      expect(again?.dir).to.equal(parent.dir);
      const names = await readdir(parent.dir);
      expect(names).to.include(kept);
      expect(names).not.to.include(left);
    } finally {
      living.kill();
      await rmdir(join(parent.dir, kept));
    }
  });

  it('are found by many nodes that start at once', async function () {
    const first = await findCgroupParent();
    if (first === undefined) skip(this, none);
    const found = await Promise.all(Array.from({ length: 20 }, async () => await startedNode()));
    expect(found).to.deep.equal(Array.from({ length: 20 }, () => first.dir));
  }).timeout(60_000);
});

/** Which parent a process finds that starts now. */
async function startedNode(): Promise<string> {
  const module = new URL('../../../hack/cluster/node/memory/cgroup.ts', import.meta.url).href;
  const script = `import { findCgroupParent } from ${JSON.stringify(module)}; console.log((await findCgroupParent())?.dir);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const said: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => said.push(chunk));
  await once(child, 'close');
  return Buffer.concat(said).toString('utf8').trim();
}
