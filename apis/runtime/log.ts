/** Severity of a log line; `info` is the default threshold. */
export type Level = 'debug' | 'info' | 'warn' | 'error';

const ranks: Record<Level, number> = { debug: 10, info: 20, warn: 30, error: 40 };

export type Fields = Record<string, unknown>;

/** A logger that writes one JSON object a line: constant message, changing fields. */
export interface Log {
  debug(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
  /** The same logger with fields that every line carries. */
  with(fields: Fields): Log;
}

export interface LogOptions {
  level?: Level;
  write?: (line: string) => void;
  fields?: Fields;
}

/** Creates a logger. Errors among the fields are written with message, reason and cause, stacks only at level debug. */
export function createLog(options: LogOptions = {}): Log {
  const threshold = ranks[options.level ?? 'info'];
  const write = options.write ?? ((line: string) => process.stdout.write(line));
  const bound = options.fields ?? {};
  const emit = (level: Level, message: string, fields: Fields = {}) => {
    if (ranks[level] < threshold) return;
    const line: Fields = { time: new Date().toISOString(), level, message, ...bound };
    for (const [key, value] of Object.entries(fields)) line[key] = value instanceof Error ? describe(value) : value;
    write(`${JSON.stringify(line)}\n`);
  };
  return {
    debug: (message, fields) => emit('debug', message, fields),
    info: (message, fields) => emit('info', message, fields),
    warn: (message, fields) => emit('warn', message, fields),
    error: (message, fields) => emit('error', message, fields),
    with: (fields) => createLog({ ...options, fields: { ...bound, ...fields } }),
  };
}

function describe(error: Error): Fields {
  const code = (error as { code?: unknown }).code;
  return {
    message: error.message,
    ...(code === undefined ? {} : { code }),
    ...(error.cause instanceof Error ? { cause: describe(error.cause) } : {}),
    ...(error.name === 'ApiError' ? {} : { stack: error.stack?.split('\n').slice(1, 4).join(' | ').trim() }),
  };
}
