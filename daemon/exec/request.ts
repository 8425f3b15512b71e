import { ApiError } from '../../apis/machinery/errors.ts';
import { longestTimerMs } from '../../apis/machinery/time.ts';
import { parseDuration } from '../../apis/v1alpha1/duration.ts';

/** Time a command gets when its request names none, as PicoD gives it. */
const defaultTimeoutMs = 60_000;

/** One command to run, as PicoD's clients ask for it. */
export interface ExecuteRequest {
  /** Program and its arguments; no shell is involved. Never empty. */
  command: [string, ...string[]];
  timeoutMs: number;
  /** Path inside the workspace. */
  workingDirectory: string;
  env: ReadonlyMap<string, string>;
}

/**
 * Checks the body of `POST /api/execute`. Fields it does not know are ignored, as PicoD ignores them.
 * @throws ApiError BadRequest that names the field.
 */
export function parseExecuteRequest(body: Record<string, unknown>): ExecuteRequest {
  return {
    command: parseCommand(body.command),
    timeoutMs: parseTimeout(body.timeout),
    workingDirectory: parseWorkingDirectory(body.working_dir),
    env: parseEnvironment(body.env),
  };
}

function parseCommand(value: unknown): [string, ...string[]] {
  if (!Array.isArray(value) || !value.every((word) => typeof word === 'string')) {
    throw new ApiError('BadRequest', "'command' must be a list of strings: the program and its arguments");
  }
  const [program, ...args] = value as string[];
  if (program === undefined || program === '') {
    throw new ApiError('BadRequest', 'command cannot be empty; send the program and its arguments');
  }
  return [withoutNul(program, 'command'), ...args.map((word) => withoutNul(word, 'command'))];
}

function parseTimeout(value: unknown): number {
  if (value === undefined || value === null || value === '') return defaultTimeoutMs;
  if (typeof value !== 'string') {
    throw new ApiError('BadRequest', 'Invalid timeout format: it must be text such as "30s" or "1m30s"');
  }
  let timeoutMs: number;
  try {
    timeoutMs = parseDuration(value);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new ApiError('BadRequest', `Invalid timeout format: ${error.message}`, { cause: error });
  }
  if (timeoutMs <= 0) throw new ApiError('BadRequest', 'Invalid timeout format: it must be more than zero');
  return Math.min(timeoutMs, longestTimerMs);
}

function parseWorkingDirectory(value: unknown): string {
  if (value === undefined || value === null || value === '') return '.';
  if (typeof value === 'string') return value;
  throw new ApiError('BadRequest', 'Invalid working directory: it must be text');
}

/**
 * Variables of an `env` object.
 * @throws ApiError BadRequest.
 */
export function parseEnvironment(value: unknown): ReadonlyMap<string, string> {
  if (value === undefined || value === null) return new Map();
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw new ApiError('BadRequest', "'env' must be an object of names and text values");
  }
  const env = new Map<string, string>();
  for (const [name, text] of Object.entries(value)) {
    if (typeof text !== 'string' || name === '' || name.includes('=')) {
      throw new ApiError('BadRequest', "'env' must be an object of names (without =) and text values");
    }
    env.set(withoutNul(name, 'env'), withoutNul(text, 'env'));
  }
  return env;
}

/** NUL ends an argument in execve(2); whatever came after it would be lost in silence. */
function withoutNul(text: string, field: string): string {
  if (!text.includes('\0')) return text;
  throw new ApiError('BadRequest', `'${field}' contains a NUL byte, which no program can be given; remove it`);
}
