/** The years that both RFC 3339 and HTTP dates (RFC 9110 §5.6.7) can write, in milliseconds since 1970. */
const earliest = Date.parse('0001-01-01T00:00:00Z');
const latest = Date.parse('9999-12-31T23:59:59Z');

/** When a file was changed. A file may claim any time, also one that no date can say; the nearest one stands for it. */
export function modifiedAt(stats: { mtimeMs: number | bigint }): Date {
  return new Date(Math.min(Math.max(Number(stats.mtimeMs), earliest), latest));
}
