/** Where progress goes: lines that stay, and optionally lines that may be overwritten by the next one. */
export interface Reporter {
  /** A line that stays. */
  report: (line: string) => void;
  /** A line that the next one replaces. Without it, progress is reported through `report`, more rarely. */
  progress?: (line: string) => void;
}

/** The longest that a running step stays silent, in milliseconds. */
const HEARTBEAT_MS = 5000;
const REDRAW_MS = 250;

/**
 * Runs `step` and says at its beginning and every five seconds (several times a second where lines can be overwritten) what
 * `describe` says of it, followed by the time it has taken: `  compiling  1,204 of 2,729 packages  2m10s`.
 */
export async function withProgress<T>(reporter: Reporter, describe: () => string, step: () => Promise<T>): Promise<T> {
  const started = performance.now();
  const say = reporter.progress ?? reporter.report;
  const sayIt = () => say(`  ${describe()}  ${formatDuration(performance.now() - started)}`);
  // At once too: several steps that each end before their first heartbeat would together be silent for long.
  sayIt();
  const timer = setInterval(sayIt, reporter.progress === undefined ? HEARTBEAT_MS : REDRAW_MS);
  try {
    return await step();
  } finally {
    clearInterval(timer);
    // Clears the line that would otherwise be left half said.
    reporter.progress?.('');
  }
}

/** A reporter for a terminal, which overwrites progress lines, or for a pipe or file, which does not. */
export function streamReporter(stream: NodeJS.WritableStream & { isTTY?: boolean; columns?: number }): Reporter {
  if (stream.isTTY !== true) return { report: (line) => void stream.write(`${line}\n`) };
  return {
    report: (line) => void stream.write(`\r\x1b[K${line}\n`),
    // A line longer than the terminal is wide would wrap and could not be overwritten.
    progress: (line) => void stream.write(`\r\x1b[K${line.slice(0, (stream.columns ?? 80) - 1)}`),
  };
}

/** Milliseconds for people, to the nearest second, since a timer may fire a little early: 4,999 → `5s`, 130,000 → `2m10s`. */
export function formatDuration(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000);
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${String(seconds % 60).padStart(2, '0')}s`;
}

/** 1204 → `1,204`. */
export function formatCount(count: number): string {
  return count.toLocaleString('en-US');
}
