import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect } from 'chai';
import { MemoryWatch } from '../../../hack/cluster/node/memory/memory-watch.ts';
import { until } from '../../support/until.ts';
import { isAlive } from './processes.ts';

describe('memory limits where no cgroup can be made', () => {
  const start = (megabytes: number) => {
    const take = `globalThis.all = Buffer.alloc(${megabytes} * 1024 * 1024, 'x'); setInterval(() => undefined, 1000)`;
    const script = `"${process.execPath}" -e "${take}" & echo $!; wait`;
    const child = spawn('/bin/sh', ['-c', script], { detached: true, stdio: ['ignore', 'pipe', 'ignore'] });
    if (child.pid === undefined) throw new Error('the shell did not start');
    return Object.assign(child, { pid: child.pid });
  };
  const childOf = async (parent: ReturnType<typeof start>) => Number(await once(parent.stdout, 'data'));

  it('kill all processes of a session that hold too much together, and no other', async () => {
    const watch = new MemoryWatch();
    const [modest, greedy] = [start(1), start(400)];
    const limits = [watch.prepare(300 * 2 ** 20), watch.prepare(200 * 2 ** 20)] as const;
    const [modestChild, greedyChild] = await Promise.all([childOf(modest), childOf(greedy)]);
    limits[0].started(modest.pid);
    limits[1].started(greedy.pid);
    try {
      await once(greedy, 'exit');
      expect(await limits[1].exceeded()).to.equal(true);
      await until('its child to be gone', async () => !(await isAlive(greedyChild)));
      expect(await limits[0].exceeded()).to.equal(false);
      expect(await isAlive(modestChild)).to.equal(true);
    } finally {
      await Promise.all(limits.map((limit) => limit.release()));
      process.kill(-modest.pid, 'SIGKILL');
    }
  });
});
