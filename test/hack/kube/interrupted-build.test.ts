import { join } from 'node:path';
import { expect } from 'chai';
import { identify } from '../../../hack/kube/process-identity.ts';
import { until } from '../../support/until.ts';
import { exists, TinyModule } from './tiny-module.ts';

describe('an interrupted build', () => {
  let tiny: TinyModule;

  beforeEach(async () => {
    tiny = await TinyModule.create();
    await tiny.closeGate();
  });
  afterEach(() => tiny.remove());

  it('by SIGKILL leaves no broken cache; the next run cleans up and succeeds', async () => {
    const killed = tiny.ensureInChild();
    await tiny.begun(1);
    const [orphan = 0] = await tiny.builds();
    // A builder that dies before it has said which process is its own leaves that to end by itself.
    await tiny.noted(orphan);
    await killed.kill();
    expect((await tiny.cached()).filter((name) => /^tiny-[0-9a-f]+$/.test(name))).to.deep.equal([]);
    expect(await identify(orphan), 'the Go command outlives its parent').to.not.equal(undefined);

    const next = tiny.ensureInChild();
    await until('the orphaned Go command to be ended', async () => (await identify(orphan)) === undefined);
    await tiny.openGate();
    expect(await next.ended).to.equal(0);
    expect(await tiny.cached()).to.have.length(1);
    expect(await exists(join(next.output.trim().split('\n').at(-1) ?? '', 'bin', 'greet'))).to.equal(true);
  });

  it('by an abort signal ends Go, too, and leaves nothing', async () => {
    const cancel = new AbortController();
    const building = tiny.ensure({ signal: cancel.signal });
    await tiny.begun(1);
    const [go = 0] = await tiny.builds();
    cancel.abort(new Error('enough'));
    expect(await building.catch((error: Error) => error.message)).to.equal('enough');
    expect(await identify(go)).to.equal(undefined);
    expect(await tiny.cached()).to.deep.equal([]);
  });

  it('by an abort signal while waiting for another process leaves that one alone', async () => {
    const other = tiny.ensureInChild();
    await tiny.begun(1);
    const cancel = new AbortController();
    const waiting = tiny.ensure({ signal: cancel.signal, report: () => cancel.abort(new Error('enough')) });
    expect(await waiting.catch((error: Error) => error.message)).to.equal('enough');
    await tiny.openGate();
    expect(await other.ended).to.equal(0);
  });
});
