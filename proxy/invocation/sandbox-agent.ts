import type { Socket } from 'node:net';
import { Agent, buildConnector, Client, type Dispatcher, Pool } from 'undici';
import { AnswerRelay } from './relay.ts';
import { resetCode } from './upstream-error.ts';

/** How long a connection to a sandbox may take. */
export const connectTimeoutMs = 5_000;
/** Less than what common servers grant (uvicorn and Node 5 s), so that we and not they end idle connections. */
const keepAliveMs = 4_000;

/** Connections to sandboxes: kept for a while, as many as there are calls, HTTP/1.1 only. */
export function createSandboxAgent(): Agent {
  return new Agent({
    allowH2: false,
    pipelining: 1,
    keepAliveTimeout: keepAliveMs,
    connect: createConnector(),
    factory: (origin, options) =>
      new Pool(origin, { ...options, factory: (url, settings) => new SandboxConnection(url, settings) }),
  });
}

/** One connection at a time, which tells a request whether it has served others before. */
class SandboxConnection extends Client {
  #connected = false;

  constructor(url: URL, options: Client.Options) {
    super(url, options);
    this.on('connect', () => {
      this.#connected = true;
    });
    this.on('disconnect', () => {
      this.#connected = false;
    });
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    if (handler instanceof AnswerRelay) handler.reused = this.#connected;
    return super.dispatch(options, handler);
  }
}

function createConnector(): buildConnector.connector {
  // A Pod is known by its address, which kubelet reports; a certificate in it could not say more. For the same reason no
  // server name is sent: RFC 6066 §3 has none for addresses.
  const connect = buildConnector({ timeout: connectTimeoutMs, rejectUnauthorized: false, allowH2: false });
  return (options, callback) => {
    connect(options, (...result) => {
      // On failure undici leaves the socket out.
      const [, socket] = result;
      if (socket) keepResets(socket);
      callback(...result);
    });
  };
}

/**
 * undici takes a reset for the end of an answer that has no length (client-h1.js, onHttpSocketError, for the sake of
 * macOS); then an answer cut off by a dying program would look whole. It does so by the error's code.
 */
function keepResets(socket: Socket): void {
  socket.prependListener('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'ECONNRESET') error.code = resetCode;
  });
}
