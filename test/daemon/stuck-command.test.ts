import { expect } from 'chai';
import { startDaemon } from './harness.ts';

/**
 * Runs until it is killed, and is a zombie then: the process that traces it does not reap it (ptrace(2)), and has left
 * the tree of the command by every means. That one ends with the folder that both began in.
 */
const stuck = `
import os, sys, time
tracer = """
import ctypes, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long] * 4
seize = 0x4206
ok = libc.ptrace(seize, int(sys.argv[1]), 0, 0) == 0
print('traced' if ok else 'refused', file=sys.stderr, flush=True)
sys.stderr.close()
end = time.monotonic() + 50
while ok and time.monotonic() < end and os.path.isdir(sys.argv[2]):
    time.sleep(0.1)
"""
leader = os.getpid()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execve(sys.executable, [sys.executable, '-c', tracer, str(leader), os.getcwd()], {})
    os._exit(0)
os.wait()
time.sleep(600)
`;

import { skip } from '../support/skip.ts';

describe('a command that cannot be killed', () => {
  it('answers that it timed out, and that it survived', async function () {
    const daemon = await startDaemon();
    try {
      const result = await daemon.execute({ command: ['python3', '-c', stuck], timeout: '5s' });
      if (result.stderr.includes('refused')) skip(this, 'this machine lets no process trace itself');
      expect(result.exit_code).to.equal(124);
      // 2 s of patience with what was killed, and not until somebody reaps it.
      expect(result.duration).to.be.within(7, 30);
      expect(result.stderr).to.match(/^traced\nCommand timed out after 5 seconds\n.*could not be killed/);
    } finally {
      await daemon.stop();
    }
  });
});
