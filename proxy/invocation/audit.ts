import { randomUUID } from 'node:crypto';
import { createWriteStream, fstatSync, openSync } from 'node:fs';
import { Writable } from 'node:stream';
import { Counter, type Registry } from 'prom-client';
import { group, resource, version } from '../../apis/names.ts';
import type { Log } from '../../apis/runtime/log.ts';
import { UsageError } from '../../apis/runtime/options.ts';
import type { RouteKind } from './invoke.ts';
import type { Outcome } from './metrics.ts';
import type { BytesMoved } from './traffic.ts';

/** Lines that wait for a disk or pipe that does not take them are kept up to this many bytes, then dropped and counted. */
const longestBacklogBytes = 16 * 1024 * 1024;
/** Lines are gathered for so long, or until there are so many bytes of them, because each write costs more than a call. */
const gatherMs = 100;
const gatheredBytes = 64 * 1024;
/** A character of a string is so many bytes of UTF-8 at most. */
const widest = 3;
/** A path is written up to this length. */
const longestPath = 2048;
/** kube-apiserver takes an Audit-ID of a client's up to this length (k8s.io/apiserver/pkg/audit/context.go). */
export const longestAuditId = 64;

/** What is known of a call when it is over. */
export interface AuditedCall {
  route: RouteKind;
  verb: string;
  /** As it came; the query is left out, it may hold what is nobody's business. */
  requestUri: string;
  sourceAddress: string | undefined;
  /** The Audit-ID header, which kube-apiserver sets on what it forwards. */
  auditId: string | undefined;
  user: { username: string; uid?: string | undefined; groups?: readonly string[] | undefined };
  namespace: string;
  name: string;
  sessionUid: string | undefined;
  /** HTTP status; 0 when none was sent. */
  code: number;
  outcome: Outcome;
  traffic: BytesMoved;
  /** Milliseconds since the epoch. */
  begunAt: number;
  durationMs: number;
}

/** Where finished calls are written. */
export interface AuditLog {
  write(call: AuditedCall): void;
  /** Writes a line of somebody else's making: an Event as JSON, with its line end. */
  append(line: string): void;
  /** Resolves when all lines are out. */
  stop(): Promise<void>;
}

/** The audit log of a process: the file, `-` for standard output, or nothing for `none`. */
export function openAudit(options: AuditFileOptions): AuditLog {
  return options.path === 'none' ? noAudit : new AuditFile(options);
}

/** Writes nothing. */
export const noAudit: AuditLog = { write: () => undefined, append: () => undefined, stop: async () => undefined };

export interface AuditFileOptions {
  /** A file that lines are appended to; `-` for standard output, `none` for no audit at all. */
  path: string;
  registry: Registry;
  log: Log;
}

/**
 * One JSON line for each call: an audit.k8s.io/v1 Event at level Metadata and stage ResponseComplete, with what a
 * kube-apiserver could not know (bytes, outcome) as annotations. Never makes a call wait.
 */
export class AuditFile implements AuditLog {
  readonly #stream: Writable;
  readonly #dropped: Counter;
  /** Users are the same objects for as long as their verdicts are kept, so most are written out once. */
  readonly #users = new WeakMap<object, string>();
  readonly #clock = new Timestamps();
  /** Bytes and not strings: many small strings that live for a while are what a garbage collector is slowest with. */
  #gathered = Buffer.allocUnsafeSlow(gatheredBytes);
  #used = 0;
  #timer: NodeJS.Timeout | undefined;
  #failed = false;

  /** @throws UsageError when the file cannot be opened. */
  constructor({ path, registry, log }: AuditFileOptions) {
    this.#stream = path === '-' ? standardOutput() : createWriteStream('', { fd: openFile(path) });
    this.#dropped = new Counter({
      name: 'sojourn_audit_events_dropped_total',
      help: 'Audit lines that were lost because the audit log did not take them.',
      registers: [registry],
    });
    this.#stream.on('error', (error) => {
      this.#failed = true;
      log.error('the audit log cannot be written; its lines are lost from now on', { path, error });
    });
  }

  write(call: AuditedCall): void {
    if (this.#takes()) this.#gather(this.#line(call));
  }

  append(line: string): void {
    if (this.#takes()) this.#gather(line);
  }

  #takes(): boolean {
    if (!this.#failed && this.#stream.writableLength <= longestBacklogBytes) return true;
    this.#dropped.inc();
    return false;
  }

  #gather(line: string): void {
    const most = line.length * widest;
    if (this.#used + most > gatheredBytes) this.#flush();
    if (most > gatheredBytes) {
      this.#stream.write(line);
      return;
    }
    this.#used += this.#gathered.write(line, this.#used);
    this.#timer ??= setTimeout(() => this.#flush(), gatherMs);
  }

  async stop(): Promise<void> {
    this.#flush();
    if (this.#failed) return;
    await new Promise<void>((resolve) => {
      this.#stream.once('error', () => resolve());
      this.#stream.end(() => resolve());
    });
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#failed || this.#used === 0) return;
    this.#stream.write(this.#gathered.subarray(0, this.#used));
    this.#gathered = Buffer.allocUnsafeSlow(gatheredBytes);
    this.#used = 0;
  }

  /** By hand, because this is on the way of every call: only texts from outside need an encoder. */
  #line(call: AuditedCall): string {
    const { traffic, namespace, name, begunAt, durationMs } = call;
    const auditId = call.auditId ?? '';
    const id = auditId === '' || auditId.length > longestAuditId ? `"${randomUUID()}"` : JSON.stringify(auditId);
    const question = call.requestUri.indexOf('?');
    const path = (question === -1 ? call.requestUri : call.requestUri.slice(0, question)).slice(0, longestPath);
    const uid = call.sessionUid === undefined ? '' : `,"uid":"${call.sessionUid}"`;
    const source = call.sourceAddress === undefined ? '' : `"sourceIPs":[${JSON.stringify(call.sourceAddress)}],`;
    return (
      `{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":${id},"stage":"ResponseComplete",` +
      `"requestURI":${JSON.stringify(path)},"verb":"${call.verb}","user":${this.#user(call.user)},${source}` +
      `"objectRef":{"resource":"${resource}","namespace":${JSON.stringify(namespace)},"name":${JSON.stringify(name)}${uid},` +
      `"apiGroup":"${group}","apiVersion":"${version}","subresource":"proxy"},` +
      `"responseStatus":{"metadata":{},"code":${call.code}},` +
      `"requestReceivedTimestamp":"${this.#clock.format(begunAt)}",` +
      `"stageTimestamp":"${this.#clock.format(Math.trunc(begunAt + durationMs))}",` +
      `"annotations":{"sojourn.dev/route":"${call.route}","sojourn.dev/outcome":"${call.outcome}",` +
      `"sojourn.dev/bytes-received":"${traffic.received}","sojourn.dev/bytes-sent":"${traffic.sent}",` +
      `"sojourn.dev/duration-ms":"${durationMs.toFixed(3)}"}}\n`
    );
  }

  #user(user: AuditedCall['user']): string {
    const known = this.#users.get(user);
    if (known !== undefined) return known;
    const { username, uid, groups } = user;
    const text = JSON.stringify({ username, uid, groups });
    this.#users.set(user, text);
    return text;
  }
}

/** At once and not when the first line comes: nobody should have to find out by missing lines. */
function openFile(path: string): number {
  try {
    return openSync(path, 'a', 0o600);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UsageError(
      `--audit-log-path ${path} cannot be opened (${code}); name another file, or - for standard output`,
    );
  }
}

/** Standard output as a stream of one's own, which may be ended. */
function standardOutput(): Writable {
  if (fstatSync(1).isFile()) return createWriteStream('', { fd: 1, autoClose: false });
  // process.stdout makes a pipe non-blocking, for the process's log too: it alone can wait for a reader that is slow,
  // whereas a file's stream takes EAGAIN for the end of its file.
  const { stdout } = process;
  return new Writable({ write: (lines: Buffer, _encoding, done) => stdout.write(lines, done) });
}

/** Times as ISO 8601 has them, in UTC. What is the same for a second is written out once a second. */
class Timestamps {
  #second = Number.NaN;
  #text = '';

  /** @param time whole milliseconds since the epoch. */
  format(time: number): string {
    const milliseconds = time % 1000;
    const second = time - milliseconds;
    if (second !== this.#second) {
      this.#second = second;
      this.#text = new Date(second).toISOString().slice(0, -'000Z'.length);
    }
    return `${this.#text}${String(milliseconds).padStart(3, '0')}Z`;
  }
}
