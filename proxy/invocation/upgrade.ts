import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { ApiError } from '../../apis/machinery/errors.ts';
import { closeSocket, resetSocket } from './answer-end.ts';
import { sessionIdHeader } from './exchange.ts';
import { responseHeaders, upgradeHeaders } from './header-filter.ts';
import { openOnOwnConnection } from './own-connection.ts';
import type { Traffic } from './traffic.ts';
import { isUnknownKey, refusalLimitBytes } from './unknown-key.ts';
import { upstreamError } from './upstream-error.ts';

/** How long a sandbox may take to agree to another protocol. */
const defaultHandshakeTimeoutMs = 30_000;

const noProtocol = 'the sandbox switched to another protocol than the one asked for';

/** One upgrade request for one sandbox. */
export interface UpgradeCall {
  request: IncomingMessage;
  socket: Duplex;
  /** What the client sent after its request. */
  head: Buffer;
  /** `scheme://host:port` of the sandbox. */
  origin: string;
  path: string;
  authorization: string | undefined;
  sessionId: string;
  handshakeTimeoutMs?: number;
  /** Counts what passes after the handshake. */
  traffic: Traffic;
  onFirstByte: () => void;
  /** Called with what ends the call early, again when that changes. */
  onInterruptible: (interrupt: (error: ApiError) => void) => void;
}

export type UpgradeEnd =
  /** Both sides spoke the new protocol until one of them closed (101), or the sandbox declined and its answer was sent. */
  | { kind: 'answered'; code: number }
  | { kind: 'client-gone'; code: number | undefined }
  | { kind: 'unknown-key' }
  | { kind: 'unreachable'; error: ApiError };

/** What the sandbox made of the handshake. */
type Handshake =
  | { kind: 'switched'; answer: IncomingMessage; upstream: Duplex; head: Buffer }
  | { kind: 'declined'; answer: IncomingMessage }
  | { kind: 'client-gone' }
  | { kind: 'failed'; error: unknown; connected: boolean };

/**
 * Passes an upgrade (RFC 9110 §7.8) to a sandbox and joins the two sockets, whatever is spoken on them. Resolves when the
 * connection is over.
 * @throws ApiError as long as nothing has been sent to the client.
 */
export async function forwardUpgrade(call: UpgradeCall): Promise<UpgradeEnd> {
  const { socket } = call;
  // Every end of a socket is handled at its "close"; an unheard "error" would end the process.
  socket.on('error', () => socket.destroy());
  if (socket.destroyed) return { kind: 'client-gone', code: undefined };
  const result = await handshake(call);
  if (result.kind === 'client-gone') return { kind: 'client-gone', code: undefined };
  if (result.kind === 'failed') {
    const error = upstreamError(result.error);
    if (result.connected) throw error;
    return { kind: 'unreachable', error };
  }
  if (result.kind === 'declined') return await relayRefusal(call, result.answer);
  const { answer, upstream, head } = result;
  let forwarded: string[];
  try {
    checkProtocol(call.request, answer);
    forwarded = responseHeaders(answer.rawHeaders, 101, 'plain');
  } catch (error) {
    upstream.destroy();
    throw error;
  }
  call.onFirstByte();
  const headers = ['Connection', 'Upgrade', 'Upgrade', answer.headers.upgrade ?? ''];
  socket.write(answerHead(101, [...forwarded, ...headers, sessionIdHeader, call.sessionId]));
  if (head.length > 0) socket.write(head);
  if (call.head.length > 0) upstream.write(call.head);
  call.onInterruptible(() => {
    resetSocket(socket);
    resetSocket(upstream);
  });
  call.traffic.send(head.length);
  call.traffic.receive(call.head.length);
  await join(socket, upstream, call.traffic);
  return { kind: 'answered', code: 101 };
}

async function handshake(call: UpgradeCall): Promise<Handshake> {
  const { promise, resolve } = Promise.withResolvers<Handshake>();
  const { outgoing, connected: reachedBy } = dial(call);
  let connected = false;
  outgoing.on('socket', (upstream) => {
    upstream.on('error', () => upstream.destroy());
    upstream.once(reachedBy, () => {
      connected = true;
    });
    upstream.setNoDelay(true);
  });
  call.onInterruptible((error) => outgoing.destroy(error));
  outgoing.on('upgrade', (answer, upstream, head) => resolve({ kind: 'switched', answer, upstream, head }));
  outgoing.on('response', (answer) => {
    // Node knows a switch by its headers; without them the connection is of no protocol at all.
    if (answer.statusCode === 101) outgoing.destroy(new ApiError('UpstreamFailed', noProtocol));
    else resolve({ kind: 'declined', answer });
  });
  outgoing.on('error', (error) => resolve({ kind: 'failed', error, connected }));
  // Not the socket's own time, which every interim answer would begin anew.
  const timer = setTimeout(() => {
    outgoing.destroy(new ApiError('UpstreamTimeout', 'the sandbox did not answer the upgrade in time; try again'));
  }, call.handshakeTimeoutMs ?? defaultHandshakeTimeoutMs);
  const onGone = () => {
    resolve({ kind: 'client-gone' });
    outgoing.destroy();
  };
  call.socket.once('close', onGone);
  outgoing.end();
  const result = await promise;
  call.socket.off('close', onGone);
  clearTimeout(timer);
  return result;
}

function dial({ origin, path, request, authorization }: UpgradeCall): ReturnType<typeof openOnOwnConnection> {
  const { method = 'GET' } = request;
  const headers = upgradeHeaders(request, authorization);
  // Node would announce a chunked body for methods that usually have one.
  if (method !== 'GET') headers.push('Content-Length', '0');
  return openOnOwnConnection({ origin, path, method, headers });
}

/**
 * As in Go's httputil.ReverseProxy.handleUpgradeResponse: a client must not find itself in a protocol it did not ask for.
 * @throws ApiError UpstreamFailed
 */
function checkProtocol({ headers }: IncomingMessage, answer: IncomingMessage): void {
  const offered = (headers.upgrade ?? '').toLowerCase().split(',');
  const chosen = (answer.headers.upgrade ?? '').toLowerCase();
  if (!offered.some((protocol) => protocol.trim() === chosen)) throw new ApiError('UpstreamFailed', noProtocol);
}

/** Sends a sandbox's answer other than 101, after which the connection is closed (CVE-2018-1002105). */
async function relayRefusal(call: UpgradeCall, answer: IncomingMessage): Promise<UpgradeEnd> {
  const { socket, authorization, sessionId, onFirstByte } = call;
  const code = answer.statusCode ?? 502;
  const begun = code === 401 && authorization !== undefined ? await readRefusal(answer) : [];
  if (isUnknownKey(Buffer.concat(begun))) return { kind: 'unknown-key' };
  let forwarded: string[];
  try {
    forwarded = responseHeaders(answer.rawHeaders, code, 'plain');
  } catch (error) {
    answer.destroy();
    throw error;
  }
  onFirstByte();
  const headers = [...forwarded, 'Connection', 'close', sessionIdHeader, sessionId];
  socket.write(answerHead(code, headers));
  for (const chunk of begun) socket.write(chunk);
  const { promise, resolve } = Promise.withResolvers<UpgradeEnd>();
  socket.once('close', () => {
    answer.destroy();
    resolve({ kind: 'answered', code });
  });
  const finish = () => {
    if (answer.complete) closeSocket(socket);
    else resetSocket(socket);
  };
  answer.on('error', finish);
  if (answer.closed) finish();
  else answer.once('close', finish).pipe(socket, { end: false });
  return await promise;
}

/** The beginning of a 401, as much of it as tells whether it is the daemon's refusal of our key. */
async function readRefusal(answer: IncomingMessage): Promise<Buffer[]> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of answer.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > refusalLimitBytes) break;
    }
  } catch (error) {
    throw upstreamError(error);
  }
  return chunks;
}

function answerHead(code: number, headers: readonly string[]): string | Buffer {
  let head = `HTTP/1.1 ${code} ${STATUS_CODES[code] ?? 'Unknown'}\r\n`;
  for (let i = 0; i + 1 < headers.length; i += 2) head += `${headers[i]}: ${headers[i + 1]}\r\n`;
  return Buffer.from(`${head}\r\n`, 'latin1');
}

/** Copies both ways until both sockets are closed. The end of one is the end of the other, after what it still has to send. */
async function join(client: Duplex, upstream: Duplex, traffic: Traffic): Promise<void> {
  client.on('data', (chunk: Buffer) => traffic.receive(chunk.length));
  upstream.on('data', (chunk: Buffer) => traffic.send(chunk.length));
  const closed = [client, upstream].map(
    (socket) => new Promise<void>((resolve) => socket.once('close', () => resolve())),
  );
  const follow = (from: Duplex, to: Duplex) => {
    from.once('close', () => {
      if (from.errored === null) closeSocket(to);
      else resetSocket(to);
    });
    from.pipe(to);
  };
  follow(client, upstream);
  follow(upstream, client);
  await Promise.all(closed);
}
