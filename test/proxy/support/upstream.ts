import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer as createTcpServer, type Socket } from 'node:net';

/** A program as it could run in a sandbox. */
export interface Upstream {
  port: number;
  /** `http://127.0.0.1:port`. */
  origin: string;
  stop(): Promise<void>;
}

export async function startUpstream(
  handler: (request: IncomingMessage, response: ServerResponse) => void,
  configure: (server: Server) => void = () => undefined,
): Promise<Upstream> {
  const server = createServer(handler);
  configure(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return running(server, () => server.closeAllConnections());
}

/** A program that speaks bytes, for answers that no HTTP library would give. */
export async function startRawUpstream(onConnection: (socket: Socket) => void): Promise<Upstream> {
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    onConnection(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return running(server, () => {
    for (const socket of sockets) socket.destroy();
  });
}

/** A program that says the same to everything it hears, and remembers that. */
export async function startFixedUpstream(
  answer: string,
): Promise<Upstream & { heard(): string; connections(): number }> {
  let heard = '';
  let connections = 0;
  const upstream = await startRawUpstream((socket) => {
    connections += 1;
    socket.on('data', (chunk) => {
      heard += chunk.toString('latin1');
      socket.write(Buffer.from(answer, 'latin1'));
    });
  });
  return { ...upstream, heard: () => heard, connections: () => connections };
}

/** A program that begins an answer, never ends it, and knows when whoever asked has left. */
export async function startEndlessUpstream(): Promise<Upstream & { left(): boolean }> {
  let left = false;
  const upstream = await startUpstream((_request, response) => {
    response.write('first');
    response.on('close', () => {
      left = true;
    });
  });
  return { ...upstream, left: () => left };
}

/** A program that breaks off every connection at its first byte, and counts them. */
export async function startBreakingUpstream(): Promise<Upstream & { connections(): number }> {
  let connections = 0;
  const upstream = await startRawUpstream((socket) => {
    connections += 1;
    socket.once('data', () => socket.destroy());
  });
  return { ...upstream, connections: () => connections };
}

function running(
  server: { address(): unknown; close(callback: () => void): unknown },
  closeConnections: () => void,
): Upstream {
  const { port } = server.address() as AddressInfo;
  const stop = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      closeConnections();
    });
  return { port, origin: `http://127.0.0.1:${port}`, stop };
}
