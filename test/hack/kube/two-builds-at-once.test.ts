import { expect } from 'chai';
import { TinyModule } from './tiny-module.ts';

describe('two builds at once', () => {
  let tiny: TinyModule;

  beforeEach(async () => {
    tiny = await TinyModule.create();
    await tiny.closeGate();
  });
  afterEach(() => tiny.remove());

  it('build once: the second waits, says for whom, and uses the result', async () => {
    const first = tiny.ensureInChild();
    await tiny.begun(1);
    const second = tiny.ensureInChild();
    await second.said(new RegExp(`waiting for process ${first.pid}, which has been building the same for \\d+s`));
    await tiny.openGate();
    expect([await first.ended, await second.ended]).to.deep.equal([0, 0]);
    expect(await tiny.builds()).to.have.length(1);
    expect(second.output.trim().split('\n').at(-1)).to.equal(first.output.trim().split('\n').at(-1));
  });

  it('the second takes over when the first is killed', async () => {
    const first = tiny.ensureInChild();
    await tiny.begun(1);
    const second = tiny.ensureInChild();
    await second.said(/waiting for process/);
    const [orphan = 0] = await tiny.builds();
    await tiny.noted(orphan);
    await first.kill();
    await tiny.begun(2);
    await tiny.openGate();
    expect(await second.ended).to.equal(0);
    expect(await tiny.cached()).to.have.length(1);
  });

  it('many that start in the same moment build once', async () => {
    await tiny.openGate();
    const children = Array.from({ length: 5 }, () => tiny.ensureInChild());
    expect(await Promise.all(children.map((child) => child.ended))).to.deep.equal([0, 0, 0, 0, 0]);
    expect(await tiny.builds()).to.have.length(1);
  });

  it('within one process build once, too', async () => {
    await tiny.openGate();
    const [first, second] = await Promise.all([tiny.ensure(), tiny.ensure()]);
    expect(first).to.equal(second);
    expect(await tiny.builds()).to.have.length(1);
  });
});
