import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { lanesOf } from '../../../hack/test/lanes.ts';
import { runLane } from '../../../hack/test/run-lane.ts';

describe('the lanes of a test run', () => {
  it('hold every file once, what disturbs a cluster apart from what does not, and suites with nodes of their own first', () => {
    const lanes = lanesOf([
      'test/hack/cluster/ports.test.ts',
      'test/proxy/access.test.ts',
      'test/e2e/outages.test.ts',
      'test/e2e/invocation.test.ts',
      'test/hack/node/pods.test.ts',
      'test/apis/machinery/json.test.ts',
    ]);
    expect(lanes.map(({ files }) => files)).to.deep.equal([
      ['test/hack/node/pods.test.ts', 'test/apis/machinery/json.test.ts', 'test/hack/cluster/ports.test.ts'],
      ['test/e2e/outages.test.ts'],
      ['test/e2e/invocation.test.ts', 'test/proxy/access.test.ts'],
    ]);
    expect(lanesOf(['test/daemon/execute.test.ts'])).to.have.length(1);
    expect(lanesOf([])).to.deep.equal([]);
  });

  describe('in a process of its own', () => {
    let dir = '';
    before(async () => {
      dir = await mkdtemp(join(tmpdir(), 'sojourn-lane-'));
    });
    after(async () => await rm(dir, { recursive: true, force: true }));

    async function outcome(program: string) {
      const file = join(dir, `${Math.random().toString(36).slice(2)}.test.mjs`);
      await writeFile(file, program);
      const said: string[] = [];
      const counts = await runLane({ name: 'one', files: [file] }, { cwd: dir, write: (text) => said.push(text) });
      return { counts, said: said.join('') };
    }

    it('count what passed, failed and was skipped', async () => {
      const { counts, said } = await outcome(
        "it('a', () => undefined); it('b', () => { throw new Error('no'); }); it.skip('c', () => undefined);",
      );
      expect(counts).to.deep.equal({ passes: 1, failures: 1, pending: 1 });
      expect(said).to.contain('no');
    });

    it('have failed when they end early, or cannot even begin', async () => {
      const early = await outcome("it('a', () => undefined); it('b', () => process.exit(0));");
      expect(early.counts.failures).to.equal(1);
      expect(early.said).to.contain('lane "one" ended early');
      const broken = await outcome("throw new Error('not a test');");
      expect(broken.counts.failures).to.equal(1);
      expect(broken.said).to.contain('not a test');
    });
  });
});
