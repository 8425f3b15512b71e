import { parseArgs } from 'node:util';
import { longestTimerMs } from '../machinery/time.ts';
import { parseDuration } from '../v1alpha1/duration.ts';

/** One flag of a binary. `--help`, documentation and validation all come from this table. */
export interface Flag<T> {
  /** Placeholder in `--help`; a flag without one takes no value. */
  value?: string;
  help: string;
  /** Environment variable that is read when the flag is absent. */
  env?: string;
  default?: string;
  /** Text → value; throws an Error whose message completes "--flag ...". */
  parse: (text: string) => T;
}

export type FlagTable = Record<string, Flag<unknown>>;
export type FlagValues<F extends FlagTable> = {
  [K in keyof F]: F[K] extends Flag<infer T> ? (F[K]['default'] extends string ? T : T | undefined) : never;
};

/** Every wrong flag of one command line at once. */
export class UsageError extends Error {}
/** `--help` was asked for; the message is the text. */
export class HelpRequested extends Error {}

/**
 * Reads a command line against a table.
 * @throws UsageError listing all problems; HelpRequested with the help text.
 */
export function parseOptions<const F extends FlagTable>(
  program: string,
  table: F,
  argv: readonly string[],
  env: NodeJS.ProcessEnv,
): FlagValues<F> {
  const { values, tokens } = parseArgs({
    args: [...argv],
    options: Object.fromEntries(
      Object.entries(table).map(
        ([name, flag]) => [name, { type: flag.value === undefined ? 'boolean' : 'string' }] as const,
      ),
    ),
    strict: false,
    tokens: true,
  });
  if (values.help === true || argv.includes('-h')) throw new HelpRequested(helpText(program, table));
  const problems: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') problems.push(`unexpected argument "${token.value}"`);
    if (token.kind === 'option' && !Object.hasOwn(table, token.name)) problems.push(`unknown flag ${token.rawName}`);
  }
  const result: Record<string, unknown> = {};
  for (const [name, flag] of Object.entries(table)) {
    const given = values[name];
    const text =
      typeof given === 'string'
        ? given
        : given === true
          ? 'true'
          : (flag.env === undefined ? undefined : env[flag.env]) || flag.default;
    if (given === true && flag.value !== undefined) {
      problems.push(`--${name} needs a value (${flag.value})`);
      continue;
    }
    if (text === undefined || text === '') continue;
    try {
      result[name] = flag.parse(text);
    } catch (error) {
      problems.push(`--${name} ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  if (problems.length > 0) throw new UsageError(`${program}: ${problems.join('\n  ')}\nTry ${program} --help`);
  return result as FlagValues<F>;
}

function helpText(program: string, table: FlagTable): string {
  const sorted = Object.entries(table).sort(([a], [b]) => (a < b ? -1 : 1));
  const lines = sorted.map(([name, flag]) => {
    const notes = [
      flag.default === undefined || flag.default === '' ? '' : `default ${flag.default}`,
      flag.env === undefined ? '' : `env ${flag.env}`,
    ].filter((note) => note !== '');
    const left = `  --${name}${flag.value === undefined ? '' : ` ${flag.value}`}`;
    return `${left.padEnd(38)} ${flag.help}${notes.length === 0 ? '' : ` (${notes.join(', ')})`}`;
  });
  return `usage: ${program} [FLAGS]\n\n${lines.join('\n')}\n`;
}

export const parseText = (text: string): string => text;
export const parseSwitch = (text: string): boolean => {
  if (text === 'true') return true;
  if (text === 'false') return false;
  throw new Error(`must be true or false, not "${text}"`);
};
export const parsePort = (text: string): number => {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new Error(`must be a port from 0 to 65535, not "${text}"`);
  return port;
};
/** Parses a Go duration that is not negative, as milliseconds. */
export const parsePatience = (text: string): number => {
  const ms = parseDuration(text);
  if (ms < 0) throw new Error(`must not be negative, as "${text}" is`);
  if (ms > longestTimerMs) throw new Error(`must be at most 596h, not "${text}"`);
  return ms;
};
/** Parses a whole number of things, at least 1. */
export const parseCount = (text: string): number => {
  const count = Number(text);
  if (!Number.isSafeInteger(count) || count < 1) throw new Error(`must be a whole number from 1, not "${text}"`);
  return count;
};
/** Parses one of a closed list of words. */
export function parseOneOf<const W extends string>(...words: W[]): (text: string) => W {
  return (text) => {
    const word = words.find((candidate) => candidate === text);
    if (word === undefined) throw new Error(`must be one of ${words.join(', ')}, not "${text}"`);
    return word;
  };
}
