import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { assignPorts } from '../../../hack/cluster/ports.ts';

describe('the ports of a local cluster', () => {
  let dir: string;

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'sojourn-ports-'));
  });
  afterEach(() => rm(dir, { recursive: true }));

  it('are different, free, and the same again after a restart', async () => {
    const file = join(dir, 'ports.json');
    const ports = await assignPorts(file, ['a', 'b', 'c']);
    expect(new Set(Object.values(ports)).size).to.equal(3);
    expect(await assignPorts(file, ['a', 'b', 'c'])).to.deep.equal(ports);
    const more = await assignPorts(file, ['d']);
    expect(Object.values(ports)).to.not.include(more.d);
    expect(await assignPorts(file, ['a', 'd'])).to.include({ a: ports.a, d: more.d });
  });

  it('are replaced when somebody else has taken one, and only that one', async () => {
    const file = join(dir, 'ports.json');
    const before = await assignPorts(file, ['a', 'b']);
    const server = createServer().listen(before.a, '127.0.0.1');
    await once(server, 'listening');
    try {
      const after = await assignPorts(file, ['a', 'b']);
      expect(after.a).to.not.equal(before.a);
      expect(after.b).to.equal(before.b);
    } finally {
      server.close();
    }
  });
});
