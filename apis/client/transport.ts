import type { Readable } from 'node:stream';
import { Agent } from 'undici';
import { ApiError } from '../machinery/errors.ts';
import type { Status } from '../machinery/meta.ts';
import type { ClusterConfig } from './kubeconfig.ts';

/** How long an answer's headers may take when the caller sets no limit of its own. */
const defaultTimeoutMs = 30_000;

/** Connections to kube-apiserver at once; a request that finds none free waits within its time. */
const mostConnections = 128;

export const patchTypes = {
  merge: 'application/merge-patch+json',
  json: 'application/json-patch+json',
  apply: 'application/apply-patch+yaml',
} as const;

export interface KubeRequest {
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Absolute path without query, already percent-encoded. */
  path: string;
  /** Undefined values are left out. */
  query?: Record<string, string | undefined>;
  /** Sent as JSON. */
  body?: unknown;
  /** Media type of the body; JSON when absent. */
  contentType?: string;
  accept?: string;
  headers?: Record<string, string>;
  /** Bearer token of somebody else, to be sent in place of every credential of our own. */
  token?: string;
  signal?: AbortSignal;
  /** Until the whole answer is there; until its headers for {@link KubeClient.stream}. Default 30 s. */
  timeoutMs?: number;
}

export interface KubeResponse {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: Buffer;
}

export interface KubeStream {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: Readable;
}

/** An HTTP client for kube-apiserver: keep-alive connections, credentials, Status bodies as ApiErrors. Never retries. */
export class KubeClient {
  readonly #config: ClusterConfig;
  readonly #userAgent: string;
  readonly #agent: Agent;
  /** For requests with a token of somebody else's: on a connection with our certificate they would be ours. */
  readonly #anonymousAgent: Agent;

  /** @param userAgent names the component in kube-apiserver's audit and managedFields. */
  constructor(config: ClusterConfig, { userAgent = 'sojourn' }: { userAgent?: string } = {}) {
    this.#config = config;
    this.#userAgent = userAgent;
    const { cert: _cert, key: _key, ...anonymous } = config;
    this.#agent = createAgent(config);
    this.#anonymousAgent = config.cert === undefined ? this.#agent : createAgent(anonymous);
  }

  get server(): string {
    return this.#config.server;
  }

  /**
   * Sends a request and reads its JSON answer.
   * @throws ApiError for every answer of 400 or above; when there was none, `ServiceUnavailable` where nothing was done, and
   * `Timeout` where nobody knows.
   */
  async request<T>(request: KubeRequest): Promise<T> {
    return parseAnswer<T>(await this.requestRaw(request));
  }

  /** Sends a request and returns whatever was answered. */
  async requestRaw(request: KubeRequest): Promise<KubeResponse> {
    const limit = timeLimit(request.timeoutMs ?? defaultTimeoutMs, request.signal);
    try {
      const stream = await this.#send(request, limit.signal);
      return { status: stream.status, headers: stream.headers, body: await wholeOf(stream) };
    } catch (error) {
      throw unanswered(error, request);
    } finally {
      limit.end();
    }
  }

  /** Sends a request and hands out its body as it arrives; the caller ends it by its signal or by destroying the body. */
  async stream(request: KubeRequest): Promise<KubeStream> {
    const stream = await this.#send(request, request.signal);
    if (stream.status < 400) return stream;
    throw errorOf({ ...stream, body: await wholeOf(stream) });
  }

  async close(): Promise<void> {
    await Promise.all([this.#agent.destroy(), this.#anonymousAgent.destroy()]);
  }

  async #send(request: KubeRequest, signal: AbortSignal | undefined): Promise<KubeStream> {
    const headers: Record<string, string> = {
      accept: request.accept ?? 'application/json',
      'user-agent': this.#userAgent,
      ...request.headers,
    };
    const token = request.token ?? (await this.#config.token?.());
    if (token !== undefined) headers.authorization = `Bearer ${token}`;
    if (request.body !== undefined) headers['content-type'] = request.contentType ?? 'application/json';
    try {
      const agent = request.token === undefined ? this.#agent : this.#anonymousAgent;
      const response = await agent.request({
        origin: this.#config.server,
        path: request.path + queryText(request.query),
        method: request.method ?? 'GET',
        headers,
        body: request.body === undefined ? null : JSON.stringify(request.body),
        headersTimeout: request.timeoutMs ?? defaultTimeoutMs,
        bodyTimeout: 0,
        ...(signal === undefined ? {} : { signal }),
      });
      return { status: response.statusCode, headers: response.headers, body: response.body };
    } catch (error) {
      throw unanswered(error, request);
    }
  }
}

/**
 * Reads the JSON of an answer.
 * @throws ApiError for every answer of 400 or above.
 */
export function parseAnswer<T>(response: KubeResponse): T {
  if (response.status >= 400) throw errorOf(response);
  return JSON.parse(response.body.toString('utf8')) as T;
}

async function wholeOf({ body }: KubeStream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/**
 * A signal that aborts after a time or with another one, and leaves nothing behind once it has ended: AbortSignal.timeout
 * keeps its timer, and what hangs on it, until the time is over, however soon the answer came.
 */
function timeLimit(ms: number, other: AbortSignal | undefined): { signal: AbortSignal; end: () => void } {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(new DOMException(`no answer within ${ms} ms`, 'TimeoutError')), ms);
  const abort = () => controller.abort(other?.reason);
  if (other?.aborted === true) abort();
  else other?.addEventListener('abort', abort, { once: true });
  const end = () => {
    clearTimeout(timer);
    other?.removeEventListener('abort', abort);
  };
  return { signal: controller.signal, end };
}

function createAgent({ ca, cert, key }: ClusterConfig): Agent {
  return new Agent({
    // Our watches hold one each and are few. Without a cap, callers with wrong tokens could make us open thousands.
    connections: mostConnections,
    // One connection a watch: a GOAWAY of a restarting kube-apiserver then ends one of them, not all at once.
    allowH2: false,
    keepAliveTimeout: 60_000,
    connect: {
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      timeout: 10_000,
    },
  });
}

function queryText(query: KubeRequest['query']): string {
  const pairs = Object.entries(query ?? {}).filter((pair): pair is [string, string] => pair[1] !== undefined);
  return pairs.length === 0 ? '' : `?${new URLSearchParams(pairs).toString()}`;
}

/**
 * The error of a request without an answer. Clients send one again that says when (client-go, rest/with_retry.go), so that is
 * said only of what cannot have been done: a lost create must not become two sessions.
 */
function unanswered(error: unknown, { method = 'GET' }: KubeRequest): ApiError {
  if (error instanceof ApiError) return error;
  if (method === 'GET' || wasNeverSent(error)) {
    return new ApiError('ServiceUnavailable', 'kube-apiserver did not answer; try again', {
      cause: error,
      retryAfterSeconds: 1,
    });
  }
  return new ApiError('Timeout', 'kube-apiserver did not answer; look whether it was done before you try again', {
    cause: error,
  });
}

/** Whether the connection was never made. Of what is not certain, it was. */
function wasNeverSent(error: unknown): boolean {
  const { code, syscall } = error as NodeJS.ErrnoException;
  const unmade = ['ECONNREFUSED', 'UND_ERR_CONNECT_TIMEOUT'];
  return unmade.includes(code ?? '') || syscall === 'connect' || syscall === 'getaddrinfo';
}

/** The error in an answer's body: a Status where kube-apiserver sent one, its plain text else. */
function errorOf({ status, headers, body }: KubeResponse): ApiError {
  const text = body.toString('utf8');
  const retryAfterSeconds = Number(headers['retry-after'] ?? Number.NaN);
  const fallback: Status = {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: text.trim(),
    code: status,
    // Who is held back by priority and fairness is told in the header alone.
    ...(Number.isSafeInteger(retryAfterSeconds) ? { details: { retryAfterSeconds } } : {}),
  };
  try {
    const parsed = JSON.parse(text) as Partial<Status> | null;
    return ApiError.fromStatus(parsed?.kind === 'Status' ? (parsed as Status) : fallback, status);
  } catch (error) {
    if (error instanceof SyntaxError) return ApiError.fromStatus(fallback, status);
    throw error;
  }
}
