import type { Status, StatusCause, StatusDetails } from './meta.ts';

/**
 * Every reason an answer of ours can carry, with its HTTP status. The first block are Kubernetes' own
 * (k8s.io/apimachinery/pkg/apis/meta/v1/types.go, StatusReason); the second are the invocation path's and the daemon's.
 */
const reasonCodes = {
  BadRequest: 400,
  Unauthorized: 401,
  Forbidden: 403,
  NotFound: 404,
  MethodNotAllowed: 405,
  NotAcceptable: 406,
  AlreadyExists: 409,
  Conflict: 409,
  Gone: 410,
  Expired: 410,
  RequestEntityTooLarge: 413,
  UnsupportedMediaType: 415,
  Invalid: 422,
  TooManyRequests: 429,
  InternalError: 500,
  ServerTimeout: 500,
  ServiceUnavailable: 503,
  Timeout: 504,
  /** No reason at all: the text is what there is to say (metav1.StatusReasonUnknown is empty). */
  Unknown: 500,

  /** The session has no Pod yet that could answer. */
  SessionNotReady: 503,
  /** The session's own hold (`spec.suspended`) is set. */
  SessionSuspended: 409,
  /** The session's Pod cannot run; the message has its reason. */
  SessionFailed: 503,
  /** The daemon did not accept the current signing keys yet. */
  KeyNotReady: 503,
  /** The sandbox could not be reached or broke off before it answered. */
  UpstreamFailed: 502,
  /** The sandbox did not begin to answer in time. */
  UpstreamTimeout: 504,

  /** The token names a signing key that the daemon has not been given. */
  UnknownKey: 401,
  /** The token's lifetime is over. */
  TokenExpired: 401,
  /** The token is for another sandbox, or the sandbox serves another session. */
  WrongSession: 403,
  /** A path would leave the workspace. */
  PathOutsideWorkspace: 400,
  /** The disk of the sandbox is full. */
  StorageFull: 507,
} as const satisfies Record<string, number>;

export type Reason = keyof typeof reasonCodes;

export interface ErrorOptions {
  details?: StatusDetails;
  /** Seconds after which the same request may succeed; also sent as the Retry-After header. */
  retryAfterSeconds?: number;
  /** What went wrong inside; logged, never sent. */
  cause?: unknown;
  /** Overrides the reason's usual HTTP status (upstream Status errors that carry another one). */
  code?: number;
  /** Of an expired list: where it can go on, at another version. */
  continueToken?: string;
  /** Texts of Warning headers that the answer carries besides. */
  warnings?: readonly string[];
}

/** The one error that reaches a user. `message` is the public sentence; `cause` stays inside. */
export class ApiError extends Error {
  readonly reason: Reason;
  readonly code: number;
  readonly details: StatusDetails | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly continueToken: string | undefined;
  readonly warnings: readonly string[];

  constructor(reason: Reason, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'ApiError';
    this.reason = reason;
    this.code = options.code ?? reasonCodes[reason];
    this.continueToken = options.continueToken;
    this.warnings = options.warnings ?? [];
    this.retryAfterSeconds = options.retryAfterSeconds ?? options.details?.retryAfterSeconds;
    this.details =
      this.retryAfterSeconds === undefined
        ? options.details
        : { ...options.details, retryAfterSeconds: this.retryAfterSeconds };
  }

  /** The same error with more to warn of. */
  warning(texts: readonly string[]): ApiError {
    const { reason, message, code, details, continueToken, cause } = this;
    return new ApiError(reason, message, {
      ...{ code, cause, warnings: [...texts, ...this.warnings] },
      ...(details === undefined ? {} : { details }),
      ...(continueToken === undefined ? {} : { continueToken }),
    });
  }

  /** The Kubernetes Status body of this error. */
  toStatus(): Status {
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: this.continueToken === undefined ? {} : { continue: this.continueToken },
      status: 'Failure',
      message: this.message,
      ...(this.reason === 'Unknown' ? {} : { reason: this.reason }),
      ...(this.details === undefined ? {} : { details: this.details }),
      code: this.code,
    };
  }

  /** Reads a Status body as the error it stands for. Unknown reasons keep their HTTP status under the nearest reason. */
  static fromStatus(status: Status, httpStatus: number): ApiError {
    const code = status.code ?? httpStatus;
    const reason = isReason(status.reason) ? status.reason : reasonOfCode(code);
    return new ApiError(reason, status.message ?? `the server answered with HTTP status ${code}`, {
      code,
      ...(status.details === undefined ? {} : { details: status.details }),
      ...(status.metadata?.continue === undefined ? {} : { continueToken: status.metadata.continue }),
    });
  }
}

function isReason(reason: string | undefined): reason is Reason {
  return reason !== undefined && Object.hasOwn(reasonCodes, reason);
}

/** The Kubernetes reason that stands for an HTTP status when a body does not say. */
export function reasonOfCode(code: number): Reason {
  for (const [reason, its] of Object.entries(reasonCodes)) {
    if (its === code) return reason as Reason;
  }
  return code >= 500 ? 'InternalError' : 'BadRequest';
}

/**
 * Any thrown value as the error a user may see. What is not an ApiError is an accident of ours:
 * it becomes an InternalError without its text, because that text may name files, hosts or secrets.
 */
export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  return new ApiError('InternalError', 'Internal error occurred; the server log has the details', { cause: error });
}

/** Whether an error is an ApiError of one of these reasons. */
export function hasReason(error: unknown, ...reasons: Reason[]): error is ApiError {
  return error instanceof ApiError && reasons.includes(error.reason);
}

/** Causes that one answer names: a body of a million wrong elements must not become an answer of a million causes. */
export const mostCauses = 64;

/** The 422 with its causes that Kubernetes sends (k8s.io/apimachinery/pkg/api/errors, NewInvalid). */
export function invalid(kind: string, group: string, name: string, causes: readonly StatusCause[]): ApiError {
  const named = causes.slice(0, mostCauses);
  const texts = named.map((cause) => (cause.field === undefined ? cause.message : `${cause.field}: ${cause.message}`));
  // What is said twice of a field is one text, but two causes.
  const unique = [...new Set(texts)];
  if (causes.length > named.length) unique.push('and more');
  const list = unique.length === 1 ? unique[0] : `[${unique.join(', ')}]`;
  const qualified = group === '' ? kind : `${kind}.${group}`;
  return new ApiError('Invalid', `${qualified} "${clip(name)}" is invalid: ${list}`, {
    details: {
      ...(name === '' ? {} : { name: clip(name) }),
      ...(group === '' ? {} : { group }),
      ...(kind === '' ? {} : { kind }),
      causes: named,
    },
  });
}

const longestQuote = 256;

/** A text of a user's as far as it is worth repeating to him. */
export function clip(text: string): string {
  return text.length <= longestQuote ? text : `${text.slice(0, longestQuote)}…`;
}
