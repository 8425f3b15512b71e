import type { IncomingMessage } from 'node:http';

/** Twice the largest body, so that a client that reads only after it has sent everything gets its answer. */
const maxDiscardedBytes = 64 * 1024 * 1024;
const maxMs = 10_000;
/** A client that sends nothing for this long has read its answer, or never will. */
const maxSilenceMs = 1000;

/** Reads and forgets the rest of a request body: until its end, the client's leaving, or a bound of bytes or time. */
export async function discardRest(req: IncomingMessage): Promise<void> {
  if (req.readableEnded || req.destroyed) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const deadline = setTimeout(resolve, maxMs);
  const silence = setTimeout(resolve, maxSilenceMs);
  let budget = maxDiscardedBytes;
  const discard = (chunk: Buffer) => {
    budget -= chunk.length;
    silence.refresh();
    if (budget < 0) resolve();
  };
  // Explicitly: a body that was given up half-read has been paused.
  req.on('data', discard).once('end', resolve).once('close', resolve).resume();
  try {
    await promise;
  } finally {
    clearTimeout(deadline);
    clearTimeout(silence);
    req.off('data', discard).off('end', resolve).off('close', resolve);
  }
}
