import { expect } from 'chai';
import { startDaemon } from './harness.ts';

/**
 * Runs until it is killed, and is a zombie then: the process that traces it does not reap it (ptrace(2)), and has left
 * the tree of the command by every means. Ends by itself after some seconds.
 */
const stuck = `
import os, sys, time
tracer = """
import ctypes, sys, time
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long] * 4
seize = 0x4206
ok = libc.ptrace(seize, int(sys.argv[1]), 0, 0) == 0
print('traced' if ok else 'refused', file=sys.stderr, flush=True)
sys.stderr.close()
time.sleep(6 if ok else 0)
"""
leader = os.getpid()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execve(sys.executable, [sys.executable, '-c', tracer, str(leader)], {})
    os._exit(0)
os.wait()
time.sleep(20)
`;

import { skip } from '../support/skip.ts';

describe('a command that cannot be killed', () => {
  it('answers that it timed out, and that it survived', async function () {
    this.timeout(15_000);
    const daemon = await startDaemon();
    try {
      const result = await daemon.execute({ command: ['python3', '-c', stuck], timeout: '1s' });
      if (result.stderr.includes('refused')) skip(this, 'this machine lets no process trace itself');
      expect(result.exit_code).to.equal(124);
      expect(result.duration).to.be.within(3, 5.5);
      expect(result.stderr).to.match(/^traced\nCommand timed out after 1 seconds\n.*could not be killed/);
    } finally {
      await daemon.stop();
    }
  });
});
