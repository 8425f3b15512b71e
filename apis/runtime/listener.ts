import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer as createHttpServer, type Server } from 'node:http';
import {
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** A request and its response in either HTTP version; HTTP/2 ones come in Node's compatible form. */
export type ClientRequest = IncomingMessage | Http2ServerRequest;
export type ClientResponse = ServerResponse | Http2ServerResponse;

/** Longer than the idle time of common load balancers and of kube-apiserver (90 s), so that they and not we end idle connections. */
const keepAliveMs = 120_000;
/** Node's own limit is low enough to refuse users of a few hundred groups. */
const mostHeaders = 20_000;

export interface ServingTls {
  /** PEM. */
  cert: Buffer;
  key: Buffer;
  /** Whether clients are asked for a certificate; whoever handles their requests judges it. */
  clientCertificates: 'ask' | 'ignore';
}

export interface ListenerOptions {
  address: string;
  /** 0 for any free one. */
  port: number;
  /** Plain HTTP/1.1 without it. */
  tls: ServingTls | undefined;
  /** Largest sum of a request's headers in bytes; HTTP/1.1 takes its own from `--max-http-header-size`. */
  largestHeadersBytes: number;
  /** Requests at once on one HTTP/2 connection. */
  mostStreams: number;
  /** `sendContinue` is given when the client waits for a 100 before it sends its body. */
  onRequest: (request: ClientRequest, response: ClientResponse, sendContinue?: () => void) => void;
  onUpgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
}

/** A port that speaks HTTP/2 and HTTP/1.1 over TLS, or plain HTTP/1.1. */
export class Listener {
  readonly #server: Server | Http2SecureServer;
  readonly #sockets = new Set<Duplex>();
  readonly #sessions = new Set<ServerHttp2Session>();
  #stopping = false;

  private constructor(options: ListenerOptions) {
    this.#server = options.tls === undefined ? createHttpServer() : createTlsServer(options.tls, options);
    configure(this.#server);
    this.#track();
    this.#handle(options);
  }

  /** Starts to listen. @throws the system's error when the address is taken. */
  static async open(options: ListenerOptions): Promise<Listener> {
    const listener = new Listener(options);
    const server: Server | Http2SecureServer = listener.#server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(options.port, options.address, () => resolve());
    });
    return listener;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Accepts nothing new, lets what is in flight end for as long as `graceMs`, then cuts it. */
  async stop({ graceMs }: { graceMs: number }): Promise<void> {
    this.#stopping = true;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const session of this.#sessions) session.close();
    const cut = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, graceMs);
    await closed;
    clearTimeout(cut);
  }

  #track(): void {
    const server: Server = this.#server as Server;
    server.on('connection', (socket: Socket) => {
      // A peer that vanished says nothing; without this its upgrade or stream would be kept.
      socket.setKeepAlive(true, keepAliveMs);
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    (this.#server as Http2SecureServer).on('session', (session) => {
      this.#sessions.add(session);
      // HTTP/1.1 has its keep-alive time; an HTTP/2 connection nobody uses would stay for ever.
      session.setTimeout(keepAliveMs, () => session.close());
      session.once('close', () => this.#sessions.delete(session));
    });
  }

  #handle({ onRequest, onUpgrade }: ListenerOptions): void {
    const server = this.#server as Server;
    const handle = (request: ClientRequest, response: ClientResponse, sendContinue?: () => void) => {
      // Closing a server ends idle connections only once; those that were busy then become idle later.
      response.once('close', () => {
        if (this.#stopping) setImmediate(() => server.closeIdleConnections());
      });
      onRequest(request, response, sendContinue);
    };
    server.on('request', (request, response) => handle(request, response));
    // Without a listener Node sends the 100 itself, and a body is on its way before anybody was asked for rights.
    server.on('checkContinue', (request, response) => handle(request, response, () => response.writeContinue()));
    server.on('upgrade', onUpgrade);
  }
}

function createTlsServer(
  { cert, key, clientCertificates }: ServingTls,
  { largestHeadersBytes, mostStreams }: ListenerOptions,
): Http2SecureServer {
  return createSecureServer({
    cert,
    key,
    allowHTTP1: true,
    minVersion: 'TLSv1.2',
    // Without a list of authorities every client offers the certificate it has.
    requestCert: clientCertificates === 'ask',
    rejectUnauthorized: false,
    maxHeaderListPairs: mostHeaders,
    // Node's 10 MB are soon used up by slow readers, and then innocent requests of the same connection are refused.
    maxSessionMemory: 100,
    settings: { maxHeaderListSize: largestHeadersBytes, maxConcurrentStreams: mostStreams },
  });
}

/** Set as properties, because the HTTP/1 side of an HTTP/2 server takes them in no other way. */
function configure(server: Server | Http2SecureServer): void {
  Object.assign(server, {
    keepAliveTimeout: keepAliveMs,
    headersTimeout: 60_000,
    // Their bytes are limited already, and Node would drop those above a number without a word.
    maxHeadersCount: 0,
    // An upload may take as long as its client likes.
    requestTimeout: 0,
  });
}
