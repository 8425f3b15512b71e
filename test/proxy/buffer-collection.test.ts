import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect } from 'chai';

const module = new URL('../../proxy/invocation/buffer-collection.ts', import.meta.url);
/** The flags that the proxy starts with. */
const flags = ['--min-semi-space-size=16', '--max-semi-space-size=32', '--single-threaded-gc'];
/** Pieces of 16 KiB, as TLS records bring them, 512 MiB in all; prints the most that buffers held meanwhile, in bytes. */
const program = (onBytes: string) => `
  import { createBufferCollection } from ${JSON.stringify(module.href)};
  const passed = ${onBytes};
  let most = 0;
  for (let piece = 0; piece < 32_768; piece += 1) {
    passed(new Uint8Array(16_384).length);
    if (piece % 64 === 0) most = Math.max(most, process.memoryUsage().arrayBuffers);
  }
  process.stdout.write(String(most));`;

async function mostHeld(onBytes: string): Promise<number> {
  const { stdout } = await promisify(execFile)(process.execPath, [
    ...flags,
    '--input-type=module',
    '-e',
    program(onBytes),
  ]);
  return Number(stdout);
}

describe('the buffers of bodies that pass through', () => {
  it('are given back while they are few, where V8 by itself lets many times as many gather', async () => {
    const collected = await mostHeld('createBufferCollection()');
    const left = await mostHeld('(bytes) => bytes');
    expect(collected).to.be.within(1, 16 * 1024 * 1024);
    expect(left).to.be.above(3 * collected);
  });
});
