import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { type Answer, startDaemon, startDaemonProcess } from './harness.ts';

const names = (count: number) => Array.from({ length: count }, () => 'd').join('/');

describe('a deep path', () => {
  const expectTooDeep = (answer: Answer) => {
    expect(answer.status).to.equal(400);
    expect(answer.json()).to.include({ reason: 'BadRequest' });
    expect(answer.json<{ error: string }>().error).to.include('more than 256 names');
  };

  it('may have 256 names, and no link makes it longer', async () => {
    const daemon = await startDaemon();
    try {
      await mkdir(join(daemon.workspace, names(255)), { recursive: true });
      await writeFile(join(daemon.workspace, names(255), 'file'), 'deep');
      await symlink(names(200), join(daemon.workspace, 'link'));
      expect((await daemon.request(`/api/files/${names(255)}/file`)).text).to.equal('deep');
      expectTooDeep(await daemon.request(`/api/files/${names(256)}/file`));
      expectTooDeep(await daemon.request(`/api/files/link/${names(55)}/file`));
      const body = JSON.stringify({ path: `new/${names(256)}/file`, content: '' });
      expectTooDeep(await daemon.request('/api/files', { method: 'POST', body }));
      expect((await daemon.request('/api/files?path=new')).status, 'nothing was made').to.equal(404);
    } finally {
      await daemon.stop();
    }
  });

  it('that takes the last file descriptor answers 503, and the next request is answered', async () => {
    const daemon = await startDaemonProcess(['sh', '-c', 'ulimit -n 120; exec "$@"', 'sh']);
    try {
      await mkdir(join(daemon.workspace, names(200)), { recursive: true });
      const answer = await daemon.request(`/api/files?path=${names(200)}`);
      expect(answer.status).to.equal(503);
      expect(answer.json()).to.include({ reason: 'ServiceUnavailable' });
      expect(answer.headers['retry-after']).to.equal('1');
      expect((await daemon.request('/api/files?path=.')).status).to.equal(200);
    } finally {
      await daemon.stop();
    }
  });
});
