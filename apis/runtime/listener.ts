import { createServer as createHttpServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import {
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { noteAnswer, owedBy } from './exchanges.ts';
import { defaultLimits, type ListenerLimits } from './listener-limits.ts';
import { overloaded, refusalOf, refuse, refuseConnect, refuseMalformed, turnAway } from './refusal.ts';

/** A request and its response in either HTTP version; HTTP/2 ones come in Node's compatible form. */
export type ClientRequest = IncomingMessage | Http2ServerRequest;
export type ClientResponse = ServerResponse | Http2ServerResponse;

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
  /** Those that differ from the defaults. */
  limits?: Partial<ListenerLimits>;
  /** `sendContinue` is given when the client waits for a 100 before it sends its body. */
  onRequest: (request: ClientRequest, response: ClientResponse, sendContinue?: () => void) => void;
  onUpgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
}

/** What of a certificate stays when it is replaced; Node forgets whatever a new context is not told. */
const minVersion = 'TLSv1.2';

/** A port that speaks HTTP/2 and HTTP/1.1 over TLS, or plain HTTP/1.1. */
export class Listener {
  readonly #server: Server | Http2SecureServer;
  readonly #limits: ListenerLimits;
  readonly #plain: boolean;
  readonly #sockets = new Set<Duplex>();
  readonly #sessions = new Set<ServerHttp2Session>();
  /** Of HTTP/1.1, until their last byte has been written. */
  readonly #answers = new Set<ServerResponse>();
  #draining = false;
  #stopping = false;

  private constructor(options: ListenerOptions) {
    this.#limits = { ...defaultLimits, ...options.limits };
    this.#plain = options.tls === undefined;
    this.#server = options.tls === undefined ? createHttpServer() : createTlsServer(options.tls, options, this.#limits);
    configure(this.#server, this.#limits);
    this.#track();
    this.#spareAnswers();
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

  /** Serves new connections with another certificate (PEM); open ones go on as they are. Not for plain HTTP. */
  setCertificate({ cert, key }: Pick<ServingTls, 'cert' | 'key'>): void {
    if ('setSecureContext' in this.#server) this.#server.setSecureContext({ cert, key, minVersion });
  }

  /**
   * Asks clients to connect elsewhere, by `Connection: close` with each answer or by a GOAWAY, and goes on to serve all
   * that come nevertheless: whoever balances load learns only after a while that this process is about to stop.
   */
  drain(): void {
    this.#draining = true;
    for (const session of this.#sessions) session.close();
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
      if (this.#sockets.size >= this.#limits.mostConnections) {
        // A TLS client could be told only after a handshake, the dearest part of all.
        if (this.#plain) turnAway(socket, overloaded());
        else socket.destroy();
        return;
      }
      // A peer that vanished says nothing; without this its upgrade or stream would be kept.
      socket.setKeepAlive(true, this.#limits.keepAliveMs);
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    (this.#server as Http2SecureServer).on('session', (session) => {
      this.#sessions.add(session);
      // HTTP/1.1 has its keep-alive time; an HTTP/2 connection nobody uses would stay for ever.
      session.setTimeout(this.#limits.keepAliveMs, () => session.close());
      session.once('close', () => this.#sessions.delete(session));
    });
  }

  /**
   * Node takes a connection for idle from the end of its answer on, with bytes of that still to be written, and destroys it.
   * Closing is put off until there is no such answer: when one is written, idle connections are closed again.
   */
  #spareAnswers(): void {
    const server = this.#server as Server;
    const closeIdle = server.closeIdleConnections.bind(server);
    server.closeIdleConnections = () => {
      if (![...this.#answers].some(({ writableEnded }) => writableEnded)) closeIdle();
    };
  }

  #handle({ onRequest, onUpgrade }: ListenerOptions): void {
    const server = this.#server as Server;
    const handle = (request: ClientRequest, response: ClientResponse, sendContinue?: () => void) => {
      if (response instanceof ServerResponse) {
        const refusal = refusalOf(request);
        if (refusal !== undefined) {
          refuse(response, refusal);
          return;
        }
        noteAnswer(request.socket, response);
        this.#answers.add(response);
        response.once('close', () => this.#answers.delete(response));
        if (this.#draining) response.shouldKeepAlive = false;
      }
      response.once('close', () => {
        // Closing a server ends idle connections only once; those that were busy then become idle later.
        if (this.#stopping) setImmediate(() => server.closeIdleConnections());
      });
      onRequest(request, response, sendContinue);
    };
    server.on('request', (request, response) => handle(request, response));
    // Without a listener Node sends the 100 itself, and a body is on its way before anybody was asked for rights.
    server.on('checkContinue', (request, response) => handle(request, response, () => response.writeContinue()));
    server.on('upgrade', (request, socket, head) => {
      // Sent on the heels of another request, whose answer it would be answered in front of.
      if (owedBy(socket) === 'none') onUpgrade(request, socket, head);
      else socket.destroy();
    });
    server.on('connect', refuseConnect);
    server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
      refuseMalformed(socket, { error, owed: owedBy(socket) });
    });
  }
}

function createTlsServer(
  { cert, key, clientCertificates }: ServingTls,
  { largestHeadersBytes, mostStreams }: ListenerOptions,
  { handshakeTimeoutMs }: ListenerLimits,
): Http2SecureServer {
  return createSecureServer({
    cert,
    key,
    allowHTTP1: true,
    // As Node's HTTPS server has it by itself; without it the rest of an answer waits for the client's kernel to acknowledge.
    noDelay: true,
    handshakeTimeout: handshakeTimeoutMs,
    minVersion,
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
function configure(server: Server | Http2SecureServer, limits: ListenerLimits): void {
  Object.assign(server, {
    keepAliveTimeout: limits.keepAliveMs,
    headersTimeout: limits.headersTimeoutMs,
    connectionsCheckingInterval: limits.checkIntervalMs,
    // Their bytes are limited already, and Node would drop those above a number without a word.
    maxHeadersCount: 0,
    // An upload may take as long as its client likes.
    requestTimeout: 0,
    shouldUpgradeCallback: isUpgrade,
    // Node would refuse requests without a host in a form of its own.
    requireHostHeader: false,
  });
}

/**
 * HTTP/2 in place of HTTP/1.1 would carry requests past everybody who judges them one by one, so an offer of it (Java's
 * client always makes one) is ignored, as RFC 9110 §7.8 allows; RFC 9113 §3.1 has given it up. HTTP/1.0 has no upgrades.
 */
function isUpgrade({ headers, httpVersion }: IncomingMessage): boolean {
  return (
    httpVersion === '1.1' &&
    !(headers.upgrade ?? '').split(',').some((protocol) => protocol.trim().toLowerCase() === 'h2c')
  );
}
