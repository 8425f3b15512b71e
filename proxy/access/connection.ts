import { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

/** A request as both HTTP versions of Node present it; raw headers are pairs of name and value. */
export interface IncomingIdentity {
  socket: unknown;
  /** In HTTP/2 the connection is the session of the stream; its sockets are a new proxy object for every request. */
  stream?: { session?: object | undefined };
  rawHeaders: readonly string[];
}

/** The TLS connection of a request, with the object that stands for it in all its requests; undefined in plain HTTP. */
export function connectionOf({
  socket,
  stream,
}: IncomingIdentity): { connection: object; socket: TLSSocket } | undefined {
  return socket instanceof TLSSocket ? { connection: stream?.session ?? socket, socket } : undefined;
}

/** The IP address that a request came from; empty when its connection is over. */
export function addressOf({ socket }: IncomingIdentity): string {
  return (socket instanceof Socket ? socket.remoteAddress : undefined) ?? '';
}
