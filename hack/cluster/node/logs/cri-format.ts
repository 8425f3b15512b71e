import { Transform, type TransformCallback } from 'node:stream';

/** The log format of container runtimes: `TIME STREAM TAG TEXT`, F a whole line and P a piece of one (KEP 2040, CRI). */
export type StreamName = 'stdout' | 'stderr';

/** Longest piece of a line in one entry; containerd's limit. */
const longestEntry = 16 * 1024;
const newline = 0x0a;
const empty = Buffer.alloc(0);

/** Turns the bytes that a process writes into log entries. What has no newline at the end becomes a P entry. */
export class CriEncoder extends Transform {
  readonly #stream: StreamName;
  #rest: Buffer = empty;

  constructor(stream: StreamName) {
    super();
    this.#stream = stream;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    const time = entryTime(Date.now());
    const entries: Buffer[] = [];
    let text = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    for (;;) {
      const end = text.indexOf(newline);
      if (end !== -1 && end <= longestEntry) {
        entries.push(this.#entry(time, 'F', text.subarray(0, end)));
        text = text.subarray(end + 1);
      } else if (text.length > longestEntry) {
        entries.push(this.#entry(time, 'P', text.subarray(0, longestEntry)));
        text = text.subarray(longestEntry);
      } else break;
    }
    this.#rest = Buffer.from(text);
    done(null, Buffer.concat(entries));
  }

  override _flush(done: TransformCallback): void {
    done(null, this.#rest.length === 0 ? undefined : this.#entry(entryTime(Date.now()), 'P', this.#rest));
  }

  #entry(time: string, tag: 'F' | 'P', text: Buffer): Buffer {
    return Buffer.concat([Buffer.from(`${time} ${this.#stream} ${tag} `), text, Buffer.of(newline)]);
  }
}

/** RFC 3339 with nine digits, of which this clock knows three. */
function entryTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace('Z', '000000Z');
}

export interface LogEntry {
  /** As written, nine digits. */
  time: string;
  milliseconds: number;
  stream: StreamName;
  /** With its newline, unless it is a piece of a line. */
  text: Buffer;
}

/** Reads one line of a log file without its newline; undefined when it is no entry. */
export function parseEntry(line: Buffer): LogEntry | undefined {
  const head = /^(\S+) (stdout|stderr) ([FP])\S* /.exec(line.subarray(0, 64).toString('latin1'));
  const [prefix, time, stream, tag] = head ?? [];
  if (prefix === undefined || time === undefined) return undefined;
  const milliseconds = Date.parse(time);
  if (Number.isNaN(milliseconds)) return undefined;
  const text = line.subarray(prefix.length);
  return {
    time,
    milliseconds,
    stream: stream === 'stderr' ? 'stderr' : 'stdout',
    text: tag === 'P' ? text : Buffer.concat([text, Buffer.of(newline)]),
  };
}
