import { spawnSync } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { checkout } from '../../../hack/start/places.ts';

describe('the set-up that runs before every script', () => {
  it('says nothing and ends well when everything is there', () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, ['hack/setup/install.mjs'], {
      cwd: checkout,
      encoding: 'utf8',
    });
    expect({ status, stdout, stderr }).to.deep.equal({ status: 0, stdout: '', stderr: '' });
  });

  it('without npm says in one sentence what to install', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sojourn-setup-'));
    try {
      await mkdir(join(folder, 'hack/setup'), { recursive: true });
      for (const file of ['package.json', 'package-lock.json', 'hack/setup/install.mjs']) {
        await copyFile(join(checkout, file), join(folder, file));
      }
      const { status, stderr } = spawnSync(process.execPath, ['hack/setup/install.mjs'], {
        cwd: folder,
        encoding: 'utf8',
        env: { PATH: join(folder, 'nothing') },
      });
      expect(status).to.equal(1);
      expect(stderr).to.match(/npm/);
      expect(stderr).not.to.match(/\n\s+at /);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
