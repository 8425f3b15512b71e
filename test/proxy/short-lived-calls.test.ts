import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect } from 'chai';

const module = new URL('../../proxy/invocation/watchdog.ts', import.meta.url);
/** The flags that the proxy starts with. */
const flags = ['--min-semi-space-size=16', '--max-semi-space-size=32', '--single-threaded-gc'];
/** 100,000 calls of 2 KiB each, 50 at a time; prints by how much the space for what lives long has grown, in bytes. */
const program = (keeper: string) => `
  import { getHeapSpaceStatistics } from 'node:v8';
  import { Watchdog } from ${JSON.stringify(module.href)};
  const patience = { idleMs: 0, totalMs: 0 };
  const used = () => getHeapSpaceStatistics().find(({ space_name }) => space_name === 'old_space').space_used_size;
  const { watch, forget } = ${keeper};
  const inFlight = [];
  const run = () => {
    inFlight.push(watch({ traffic: { total: 0 }, patience, interrupt: () => undefined, held: new Array(256).fill(0) }));
    if (inFlight.length > 50) forget(inFlight.shift());
  };
  for (let call = 0; call < 20_000; call += 1) run();
  // A pause: what is in use grows old meanwhile.
  const other = [];
  for (let i = 0; i < 100_000; i += 1) other[i % 100] = new Array(256).fill(0);
  const before = used();
  for (let call = 0; call < 100_000; call += 1) run();
  process.stdout.write(String(used() - before));
  process.exit(0);`;

async function growth(keeper: string): Promise<number> {
  const args = [...flags, '--input-type=module', '-e', program(keeper)];
  return Number((await promisify(execFile)(process.execPath, args)).stdout);
}

const watchdog = `(() => {
  const dog = new Watchdog([patience]);
  return { watch: (call) => dog.watch(call), forget: (watch) => dog.forget(watch) };
})()`;
const map = `(() => {
  const calls = new Map();
  return { watch: (call) => (calls.set(call, {}), call), forget: (call) => calls.delete(call) };
})()`;

describe('calls that are over', () => {
  it('are garbage at once, where a Map of all would hand them down from table to table', async () => {
    const held = await growth(watchdog);
    expect(held).to.be.below(8 * 1024 * 1024);
    expect(await growth(map)).to.be.above(5 * Math.max(held, 1024 * 1024));
  });
});
