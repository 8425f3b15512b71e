import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { expect } from 'chai';
import { type DaemonProcess, form, startDaemonProcess } from './harness.ts';

const MiB = 1024 * 1024;
const size = 30 * MiB;
const atOnce = 6;

describe("the daemon's memory", () => {
  let daemon: DaemonProcess;
  before(async () => {
    daemon = await startDaemonProcess();
  });
  after(() => daemon.stop());

  /** Most memory that the daemon has ever had, in MiB (VmHWM, proc_pid_status(5)). */
  const peak = () => {
    const status = readFileSync(`/proc/${daemon.child.pid}/status`, 'utf8');
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
  };
  const upload = async (bytes: Buffer) => {
    const parts = [
      { name: 'path', content: 'big' },
      { name: 'file', filename: 'f', content: bytes },
    ];
    expect((await daemon.request('/api/files', { method: 'POST', ...form(parts) })).status).to.equal(200);
  };
  const download = async () => {
    const headers = { authorization: `Bearer ${await daemon.token()}` };
    const sent = request({ host: '127.0.0.1', port: daemon.port, path: '/api/files/big', headers }).end();
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    let received = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) received += chunk.length;
    return received;
  };
  const several = <T>(action: () => Promise<T>) => Promise.all(Array.from({ length: atOnce }, action));

  it('does not grow with the files that pass through it at the same time', async () => {
    await upload(Buffer.alloc(MiB));
    await download();
    const before = peak();
    const content = Buffer.alloc(size, 'x');
    await several(() => upload(content));
    expect(await several(download)).to.deep.equal(Array(atOnce).fill(size));
    // What garbage may lie about, and less than the files would take.
    expect(peak() - before, 'MiB').to.be.lessThan(((atOnce * size) / MiB) * 0.7);
  });
});
