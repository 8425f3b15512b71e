import { randomUUID } from 'node:crypto';
import { type ApiError, asApiError } from '../../apis/machinery/errors.ts';
import type { ObjectMeta } from '../../apis/machinery/meta.ts';
import { group, resource, version } from '../../apis/names.ts';
import type { ClientRequest } from '../../apis/runtime/listener.ts';
import { anonymous, type UserInfo } from '../../proxy/access/user.ts';
import { type AuditLog, longestAuditId } from '../../proxy/invocation/audit.ts';
import type { ResourceRequest } from './request-info.ts';

/** As kube-apiserver cuts them (k8s.io/apiserver/pkg/audit). */
const longestUri = 2048;
const longestUserAgent = 1024;
const longestMessage = 1024;

/** Who made a request, and as whom it runs. */
export interface AuditedUser {
  authenticated: UserInfo;
  /** Another one when the request was made on somebody's behalf. */
  effective: UserInfo;
}

/**
 * The audit line of one request for sessions: an audit.k8s.io/v1 Event at level Metadata and stage ResponseComplete, in the
 * form of kube-apiserver's own, which knows of such a request neither on whose behalf it was made nor what we decided.
 */
export class RequestAudit {
  readonly #log: AuditLog;
  readonly #request: ClientRequest;
  readonly #info: ResourceRequest;
  readonly #begunAt: Date;
  /** Taken now: a connection that is over does not know it any more. */
  readonly #address: string | undefined;
  #user: AuditedUser | undefined;
  #decision: 'allow' | 'forbid' | undefined;
  #error: ApiError | undefined;
  #object: ObjectMeta | undefined;
  #isOver = false;

  constructor(log: AuditLog, { request, info }: { request: ClientRequest; info: ResourceRequest }) {
    this.#log = log;
    this.#request = request;
    this.#info = info;
    this.#begunAt = new Date();
    this.#address = request.socket?.remoteAddress;
  }

  identified(user: AuditedUser): void {
    this.#user = user;
  }

  allowed(): void {
    this.#decision = 'allow';
  }

  /** The object that a create made, whose name the request need not have had. */
  created(object: ObjectMeta): void {
    this.#object = object;
  }

  failed(thrown: unknown): void {
    this.#error = asApiError(thrown);
    if (this.#user !== undefined && this.#decision === undefined && this.#error.code === 403) this.#decision = 'forbid';
  }

  /** Somebody else keeps account of it from now on. */
  handedOver(): void {
    this.#isOver = true;
  }

  /** @param code HTTP status, 0 when none was sent. */
  close(code: number): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#log.append(`${JSON.stringify(this.#event(code))}\n`);
  }

  #event(code: number): object {
    const { headers, url = '' } = this.#request;
    const { authenticated = anonymous, effective = authenticated } = this.#user ?? {};
    const auditId = single(headers['audit-id']) ?? '';
    const userAgent = single(headers['user-agent'])?.slice(0, longestUserAgent);
    const decision = this.#decision;
    return {
      kind: 'Event',
      apiVersion: 'audit.k8s.io/v1',
      level: 'Metadata',
      auditID: auditId === '' || auditId.length > longestAuditId ? randomUUID() : auditId,
      stage: 'ResponseComplete',
      requestURI: this.#uri(url).slice(0, longestUri),
      verb: this.#info.verb,
      user: authenticated,
      ...(effective === authenticated ? {} : { impersonatedUser: effective }),
      sourceIPs: this.#sources(),
      ...(userAgent === undefined ? {} : { userAgent }),
      objectRef: this.#objectRef(),
      responseStatus: { metadata: {}, ...this.#failure(), code },
      requestReceivedTimestamp: this.#begunAt.toISOString(),
      stageTimestamp: new Date().toISOString(),
      ...(decision === undefined ? {} : { annotations: { 'authorization.k8s.io/decision': decision } }),
    };
  }

  /** The query of a call into a sandbox is the program's there, and may hold what is nobody's business. */
  #uri(url: string): string {
    const question = url.indexOf('?');
    return question === -1 || this.#info.subresource === undefined ? url : url.slice(0, question);
  }

  /** As k8s.io/apimachinery/pkg/util/net SourceIPs, but what a stranger says of where it comes from is left out. */
  #sources(): string[] {
    const forwarded = this.#user === undefined ? undefined : single(this.#request.headers['x-forwarded-for']);
    const sources = forwarded === undefined ? [] : forwarded.split(',').map((address) => address.trim());
    if (this.#address !== undefined && sources.at(-1) !== this.#address) sources.push(this.#address);
    return sources;
  }

  #objectRef(): object {
    const { namespace, name = this.#object?.name, subresource } = this.#info;
    const uid = this.#object?.uid;
    return {
      resource,
      ...(namespace === undefined ? {} : { namespace }),
      ...(name === undefined ? {} : { name }),
      ...(uid === undefined ? {} : { uid }),
      apiGroup: group,
      apiVersion: version,
      ...(subresource === undefined ? {} : { subresource }),
    };
  }

  #failure(): object {
    if (this.#error === undefined) return {};
    const { reason, message } = this.#error;
    return { status: 'Failure', message: message.slice(0, longestMessage), reason };
  }
}

function single(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
