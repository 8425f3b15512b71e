/** Durations as metav1.Duration writes them: Go's time.ParseDuration syntax (`15m`, `1h30m`, `1.5h`, `300ms`). */

const unitMs: Record<string, number> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};
const whole = /^[-+]?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/;
const part = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g;

/** The pattern of {@link parseDuration} for schemas: a positive duration. */
export const durationPattern = '^([0-9]+(\\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$';
/** What that pattern means, in words that follow "must". */
export const durationMeaning = 'be a duration such as 30s or 15m';

/**
 * Milliseconds of a Go duration.
 * @throws RangeError when the text is none.
 */
export function parseDuration(text: string): number {
  if (text === '0') return 0;
  // Longer than any duration that fits Go's int64 nanoseconds, so that a hostile text costs nothing.
  if (text.length > 64 || !whole.test(text))
    throw new RangeError(`"${text.slice(0, 64)}" is not a duration such as 90s, 15m or 1h30m`);
  let total = 0;
  for (const [, digits, unit] of text.matchAll(part)) total += Number(digits) * (unitMs[unit ?? ''] ?? 0);
  return text.startsWith('-') ? -total : total;
}

/** Milliseconds as Go prints a duration of whole seconds: `15m0s`, `1h0m0s`, `8s`. */
export function formatDuration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  const h = Math.floor(seconds / 3600);
  const m = Math.floor((seconds % 3600) / 60);
  const s = seconds % 60;
  return h > 0 ? `${h}h${m}m${s}s` : m > 0 ? `${m}m${s}s` : `${s}s`;
}
