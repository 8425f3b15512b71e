import { open } from 'node:fs/promises';
import type { Container } from '../api/pod.ts';
import { readLog } from '../logs/log-reader.ts';

/** kubelet's limits, in bytes and lines (k8s.io/kubernetes/pkg/kubelet/container/runtime.go). */
const longestMessage = 4 * 1024;
const longestFromLog = 2 * 1024;
const linesFromLog = 80;

export interface EndedAttempt {
  container: Container;
  exitCode: number;
  /** File that stands for the container's termination message path. */
  terminationLog: string;
  /** Log of the attempt. */
  logPath: string;
}

/**
 * What an attempt left as its last word, if any
 * (k8s.io/kubernetes/pkg/kubelet/kuberuntime/kuberuntime_container.go, getTerminationMessage).
 */
export async function terminationMessage(attempt: EndedAttempt): Promise<string | undefined> {
  const message = await tailOf(attempt.terminationLog);
  if (message !== '') return message;
  if (attempt.exitCode === 0 || attempt.container.terminationMessagePolicy !== 'FallbackToLogsOnError')
    return undefined;
  const fromLog = await lastLines(attempt.logPath);
  return fromLog === '' ? undefined : fromLog;
}

async function tailOf(path: string): Promise<string> {
  try {
    await using file = await open(path, 'r');
    const { size } = await file.stat();
    const from = Math.max(0, size - longestMessage);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(longestMessage), 0, longestMessage, from);
    return buffer.toString('utf8', 0, bytesRead);
  } catch (error) {
    // A process may take its own file away.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    return `Error on reading termination log ${path}: ${String(error)}`;
  }
}

async function lastLines(logPath: string): Promise<string> {
  const query = { tailLines: linesFromLog, follow: false, timestamps: false };
  const chunks: Buffer[] = [];
  const ended = { live: undefined, signal: new AbortController().signal };
  for await (const chunk of readLog(logPath, query, ended)) chunks.push(chunk);
  return Buffer.concat(chunks).subarray(-longestFromLog).toString('utf8');
}
