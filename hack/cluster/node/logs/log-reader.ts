import { type FileHandle, open } from 'node:fs/promises';
import { parseEntry, type StreamName } from './cri-format.ts';
import type { LogFile } from './log-file.ts';

/** PodLogOptions as kubelet understands them (k8s.io/cri-client/pkg/logs). */
export interface LogQuery {
  tailLines?: number;
  limitBytes?: number;
  /** Entries before this time (milliseconds since 1970) are left out. */
  since?: number;
  follow: boolean;
  timestamps: boolean;
  /** Both streams when absent. */
  stream?: StreamName;
}

const blockSize = 64 * 1024;
const newline = 0x0a;

/**
 * Yields a log as `kubectl logs` shows it. With `follow` it goes on until the attempt that writes it has ended.
 * A file that does not exist is an empty log: a container without a process never wrote one.
 */
export async function* readLog(
  path: string,
  query: LogQuery,
  options: { live: LogFile | undefined; signal: AbortSignal },
): AsyncGenerator<Buffer> {
  const file = await openIfThere(path);
  if (file === undefined) return;
  try {
    const start = query.tailLines === undefined ? 0 : await tailStart(file, query.tailLines);
    let remaining = query.limitBytes ?? Number.POSITIVE_INFINITY;
    let atLineStart = true;
    for await (const line of lines(file, start, query.follow ? options.live : undefined, options.signal)) {
      const entry = parseEntry(line);
      if (entry === undefined || entry.milliseconds < (query.since ?? 0)) continue;
      if (query.stream !== undefined && query.stream !== entry.stream) continue;
      const prefixed = query.timestamps && atLineStart;
      const shown = prefixed ? Buffer.concat([Buffer.from(`${entry.time} `), entry.text]) : entry.text;
      yield shown.subarray(0, remaining);
      remaining -= shown.length;
      if (remaining <= 0) return;
      atLineStart = entry.text.at(-1) === newline;
    }
  } finally {
    await file.close();
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Offset at which the last lines begin; a line that is still being written does not count. */
async function tailStart(file: FileHandle, count: number): Promise<number> {
  const { size } = await file.stat();
  const buffer = Buffer.alloc(blockSize);
  let found = 0;
  for (let right = size; right > 0; right -= blockSize) {
    const left = Math.max(0, right - blockSize);
    const { bytesRead } = await file.read(buffer, 0, right - left, left);
    for (let at = bytesRead - 1; at >= 0; at--) {
      if (buffer[at] === newline && found++ === count) return left + at + 1;
    }
  }
  return 0;
}

/** Whole lines from an offset on; at the end of the file it waits for more as long as `live` is being written. */
async function* lines(
  file: FileHandle,
  start: number,
  live: LogFile | undefined,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  let position = start;
  let rest: Buffer = Buffer.alloc(0);
  while (!signal.aborted) {
    const mayGrow = live?.open ?? false;
    const version = live?.version ?? 0;
    const { bytesRead, buffer } = await file.read(Buffer.alloc(blockSize), 0, blockSize, position);
    if (bytesRead === 0) {
      if (!mayGrow || live === undefined) return;
      await waitForChange(live, version, signal);
      continue;
    }
    position += bytesRead;
    let text = Buffer.concat([rest, buffer.subarray(0, bytesRead)]);
    for (let end = text.indexOf(newline); end !== -1; end = text.indexOf(newline)) {
      yield text.subarray(0, end);
      text = text.subarray(end + 1);
    }
    rest = text;
  }
}

async function waitForChange(live: LogFile, version: number, signal: AbortSignal): Promise<void> {
  try {
    await live.changedSince(version, signal);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
