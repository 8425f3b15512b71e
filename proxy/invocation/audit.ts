import { randomUUID } from 'node:crypto';
import { createWriteStream, type WriteStream } from 'node:fs';
import { Counter, type Registry } from 'prom-client';
import { group, resource, version } from '../../apis/names.ts';
import type { Log } from '../../apis/runtime/log.ts';
import type { RouteKind } from './invoke.ts';
import type { Outcome } from './metrics.ts';
import type { Traffic } from './traffic.ts';

/** Lines that wait for a disk or pipe that does not take them are kept up to this many bytes, then dropped and counted. */
const longestBacklogBytes = 16 * 1024 * 1024;
/** A path is written up to this length. */
const longestPath = 2048;
/** kube-apiserver takes an Audit-ID of a client's up to this length (k8s.io/apiserver/pkg/audit/context.go). */
const longestAuditId = 64;

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
  traffic: Traffic;
  /** Milliseconds since the epoch. */
  begunAt: number;
  durationMs: number;
}

/** Where finished calls are written. */
export interface AuditLog {
  write(call: AuditedCall): void;
  /** Resolves when all lines are out. */
  stop(): Promise<void>;
}

/** The audit log of a process: the file, `-` for standard output, or nothing for `none`. */
export function openAudit(options: AuditFileOptions): AuditLog {
  return options.path === 'none' ? noAudit : new AuditFile(options);
}

/** Writes nothing. */
export const noAudit: AuditLog = { write: () => undefined, stop: async () => undefined };

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
  readonly #stream: WriteStream;
  readonly #dropped: Counter;
  /** Users are the same objects for as long as their verdicts are kept, so most are written out once. */
  readonly #users = new WeakMap<object, string>();
  #failed = false;

  constructor({ path, registry, log }: AuditFileOptions) {
    // A WriteStream gathers what comes while a write is under way into one next write.
    this.#stream =
      path === '-'
        ? createWriteStream('', { fd: 1, autoClose: false })
        : createWriteStream(path, { flags: 'a', mode: 0o600 });
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
    if (this.#failed || this.#stream.writableLength > longestBacklogBytes) {
      this.#dropped.inc();
      return;
    }
    this.#stream.write(this.#line(call));
  }

  async stop(): Promise<void> {
    if (this.#failed) return;
    await new Promise<void>((resolve) => {
      this.#stream.once('error', () => resolve());
      this.#stream.end(() => resolve());
    });
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
      `"objectRef":{"resource":"${resource}","namespace":"${namespace}","name":"${name}"${uid},` +
      `"apiGroup":"${group}","apiVersion":"${version}","subresource":"proxy"},` +
      `"responseStatus":{"metadata":{},"code":${call.code}},` +
      `"requestReceivedTimestamp":"${new Date(begunAt).toISOString()}",` +
      `"stageTimestamp":"${new Date(begunAt + durationMs).toISOString()}",` +
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
