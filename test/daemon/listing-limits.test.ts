import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { modifiedAt } from '../../daemon/files/modified.ts';
import { startDaemon, type TestDaemon } from './harness.ts';

interface Listing {
  files: { name: string; modified: string }[];
  truncated?: true;
}

describe('a listing', () => {
  let daemon: TestDaemon;
  before(async () => {
    daemon = await startDaemon();
  });
  after(() => daemon.stop());

  it('has at most 10,000 entries, and says when there are more', async () => {
    await mkdir(join(daemon.workspace, 'many'));
    const write = (number: number) => writeFile(join(daemon.workspace, 'many', String(number)), '');
    await Promise.all(Array.from({ length: 10_000 }, (_, number) => write(number)));
    const list = async () => (await daemon.request('/api/files?path=many')).json<Listing>();
    const whole = await list();
    expect(whole.files).to.have.length(10_000);
    expect(whole).to.have.all.keys('files');
    await write(10_000);
    const cut = await list();
    expect(cut.files).to.have.length(10_000);
    expect(cut.truncated).to.equal(true);
  }).timeout(120_000);

  it('gives the nearest date that can be written for a time beyond all dates', () => {
    expect(modifiedAt({ mtimeMs: 1e19 }).toISOString()).to.equal('9999-12-31T23:59:59.000Z');
    expect(modifiedAt({ mtimeMs: -(10n ** 19n) }).toISOString()).to.equal('0001-01-01T00:00:00.000Z');
    expect(modifiedAt({ mtimeMs: 0 }).toISOString()).to.equal('1970-01-01T00:00:00.000Z');
  });
});
