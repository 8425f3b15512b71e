import type { Row } from './comparison.ts';

const columns = ['measure', 'reference', 'ours', 'ratio', 'spread'] as const;
const widths = [46, 12, 12, 10, 14] as const;
const width = widths.reduce<number>((sum, each) => sum + each, 0);
const absent = '–';

/** One benchmark's part of the table. */
export interface Section {
  name: string;
  how: string;
  /** Name of the reference. */
  beside: string;
  rows: readonly Row[];
}

/** The head of the table. */
export function tableHead(): string {
  return `${line(columns)}\n${'─'.repeat(width)}`;
}

/** A section of the table: what is measured and beside what, then its rows by subject. */
export function tableSection({ name, how, beside, rows }: Section): string {
  const lines = [...wrap(`${name.toUpperCase()}: ${how}.`), ...wrap(`Reference: ${beside}.`)];
  let subject: string | undefined;
  for (const row of rows) {
    if (row.subject !== subject) lines.push(`  ${row.subject}`);
    subject = row.subject;
    lines.push(
      line([
        `    ${row.measure}`,
        formatValue(row.reference, row.unit),
        formatValue(row.ours, row.unit),
        ...formatRatio(row.ratio),
      ]),
    );
  }
  return lines.join('\n');
}

/** What the numbers are, below them. */
export function tableFoot(rounds: number): string {
  const text =
    `Medians of ${rounds} rounds, in which the sides took turns. A ratio is the median of the rounds' own ratios, the ` +
    "spread the smallest and the greatest of them. Times are this machine's at this moment: compare ratios alone.";
  return wrap(text).join('\n');
}

/** Breaks a text into lines no wider than the table. */
function wrap(text: string): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const longer = `${lines.at(-1)} ${word}`;
    if (lines.length === 0 || longer.length > width) lines.push(word);
    else lines[lines.length - 1] = longer;
  }
  return lines;
}

function line(cells: readonly string[]): string {
  return cells
    .map((cell, index) => (index === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[index] ?? 0)))
    .join('');
}

/** Three significant digits, as far as numbers below 1,000 have more. */
export function formatValue(value: number | undefined, unit: string): string {
  if (value === undefined || !Number.isFinite(value)) return absent;
  return `${digits(value)} ${unit}`;
}

function formatRatio(ratio: Row['ratio']): [string, string] {
  if (ratio === undefined) return [absent, absent];
  return [digits(ratio.median), `${digits(ratio.lowest)}–${digits(ratio.highest)}`];
}

function digits(value: number): string {
  const size = Math.abs(value);
  return value.toFixed(size < 10 ? 2 : size < 100 ? 1 : 0);
}
