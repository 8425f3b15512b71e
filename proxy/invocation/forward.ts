import type { Dispatcher } from 'undici';
import type { ApiError } from '../../apis/machinery/errors.ts';
import type { ClientRequest, ClientResponse } from '../../apis/runtime/listener.ts';
import { isGone } from './exchange.ts';
import { requestHeaders } from './header-filter.ts';
import { AnswerRelay, type RelayEnd } from './relay.ts';
import type { RequestBody } from './request-body.ts';
import type { Traffic } from './traffic.ts';
import { announcedTrailers, requestTrailers } from './trailer-filter.ts';
import { dispatchWithTrailers } from './trailer-request.ts';
import { isLost, upstreamError } from './upstream-error.ts';

/** One request for one sandbox. */
export interface ForwardCall {
  request: ClientRequest;
  response: ClientResponse;
  /** Absent when the request has no body. */
  body: RequestBody | undefined;
  /** `scheme://host:port` of the sandbox. */
  origin: string;
  /** Raw path with query. */
  path: string;
  /** Value of the Authorization header; absent when the sandbox verifies nothing. */
  authorization: string | undefined;
  /** uid of the session, for the header of the answer. */
  sessionId: string;
  /** How long the sandbox may take until its answer begins. */
  answerTimeoutMs: number;
  /** Counts what is sent to the client; the body counts what comes from it. */
  traffic: Traffic;
  /** Called when the first byte of the answer is there. */
  onFirstByte: () => void;
  /** Called once with what ends the call early. */
  onInterruptible: (interrupt: (error: ApiError) => void) => void;
}

/** How a forwarded request ended, or why it may be sent again: then nothing of it has been acted upon. */
export type ForwardEnd =
  | RelayEnd
  /** No connection to the sandbox came about, or an idle one was closed just when it was to be used. */
  | { kind: 'unreachable'; error: ApiError };

/**
 * Sends a request to a sandbox and its answer to the client as both arrive, with the pressure of either side felt by the
 * other. Resolves when the answer has been delivered, has been cut off, or nobody is left to read it. Never sends twice.
 * @throws ApiError as long as nothing of an answer has been sent to the client.
 */
export async function forward(dispatcher: Dispatcher, call: ForwardCall): Promise<ForwardEnd> {
  if (isGone(call.response)) return { kind: 'client-gone', code: undefined };
  const relay = new AnswerRelay(call);
  call.onInterruptible((error) => relay.interrupt(error));
  dispatch(dispatcher, call, relay);
  try {
    return await relay.end;
  } catch (error) {
    // A client that left in the middle of its request makes it fail here; nobody is there to be told.
    if (isGone(call.response)) return { kind: 'client-gone', code: undefined };
    const failure = upstreamError(error);
    if (!relay.started && failure.reason !== 'BadRequest') return { kind: 'unreachable', error: failure };
    if (isLost(error) && !relay.heard && isUntouched(call, relay)) return { kind: 'unreachable', error: failure };
    throw failure;
  }
}

function dispatch(dispatcher: Dispatcher, call: ForwardCall, relay: AnswerRelay): void {
  const { request, origin, path, body, answerTimeoutMs } = call;
  const headers = requestHeaders(request, call.authorization);
  const method = request.method ?? 'GET';
  const announced = body === undefined ? undefined : announcedTrailers(request);
  if (body !== undefined && announced !== undefined) {
    const trailers = () => requestTrailers(request);
    dispatchWithTrailers(
      { origin, path, method, headers, announced, body: body.open(), trailers, answerTimeoutMs },
      relay,
    );
    return;
  }
  dispatcher.dispatch(
    {
      origin,
      // Not a URL: parsing one would resolve `..` and its encodings.
      path,
      method,
      headers,
      body: body?.open() ?? null,
      headersTimeout: answerTimeoutMs,
      // Streams may be silent for as long as they like.
      bodyTimeout: 0,
    },
    relay,
  );
}

/** Methods that change nothing, whatever a program makes of a second one (RFC 9110 §9.2.1). */
const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

/**
 * Whether a request whose connection broke before any answer may be sent again. With a body, nothing at all is written
 * before its first byte. Without one, a connection that has served before may have been closed while the request was on
 * its way; then only a safe method may be repeated (RFC 9110 §9.2.2). Go's http.Transport decides alike.
 */
function isUntouched({ request, body }: ForwardCall, { reused }: AnswerRelay): boolean {
  return body === undefined ? reused && safeMethods.has(request.method ?? '') : !body.begun;
}
