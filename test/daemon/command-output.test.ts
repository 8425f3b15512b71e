import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { expect } from 'chai';
import { Capture } from '../../daemon/exec/capture.ts';
import { startDaemonProcess } from './harness.ts';

const times = (count: number) => Array.from({ length: count }, (_, index) => index);

describe('output of a command', () => {
  it('is complete where the image has no mkfifo', async () => {
    const daemon = await startDaemonProcess(['env', 'PATH=WORKSPACE']);
    try {
      for (const number of times(20)) {
        const result = await daemon.execute({ command: ['/bin/sh', '-c', `echo ${number}; echo e >&2`] });
        expect(result).to.include({ stdout: `${number}\n`, stderr: 'e\n' });
      }
      const missing = await daemon.execute({ command: ['no-such-program'] });
      expect(missing.stderr).to.include('not found');
      expect(daemon.log.filter((line) => line.includes('no pipes'))).to.have.length(1);
    } finally {
      await daemon.stop();
    }
  });

  it('can be opened by name as soon as there is a temporary folder', async () => {
    const daemon = await startDaemonProcess(['env', 'TMPDIR=WORKSPACE/tmp']);
    try {
      const command = ['sh', '-c', 'echo byname > /dev/stdout'];
      expect((await daemon.execute({ command })).exit_code, 'a socket').to.not.equal(0);
      await mkdir(join(daemon.workspace, 'tmp'));
      expect(await daemon.execute({ command }), 'a pipe').to.include({ stdout: 'byname\n', exit_code: 0 });
    } finally {
      await daemon.stop();
    }
  });

  it('is not waited for when its stream has been closed already', async () => {
    const stream = new PassThrough();
    const closed = once(stream, 'close');
    stream.destroy();
    await closed;
    const capture = new Capture(stream, 10);
    const late = new Promise((resolve) => setTimeout(resolve, 1000, 'late').unref());
    expect(await Promise.race([capture.closed, late])).to.equal(undefined);
    expect(capture.take()).to.equal('');
  });
});
