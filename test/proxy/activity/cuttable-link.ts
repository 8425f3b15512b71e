import { connect, createServer, type Server, type Socket } from 'node:net';
import { freePort } from '../../support/free-port.ts';

/** A TCP relay to a server that a test can cut and mend: the server as it looks when it is away for a while. */
export class CuttableLink {
  readonly port: number;
  readonly #target: URL;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;

  private constructor(target: URL, server: Server, port: number) {
    this.#target = target;
    this.#server = server;
    this.port = port;
    server.on('connection', (socket) => this.#relay(socket));
  }

  static async to(url: string): Promise<CuttableLink> {
    const server = createServer();
    const port = await freePort();
    await listen(server, port);
    return new CuttableLink(new URL(url), server, port);
  }

  /** Breaks every connection and refuses new ones. */
  cut(): void {
    this.#server?.close();
    this.#server = undefined;
    for (const socket of this.#sockets) socket.destroy();
  }

  async mend(): Promise<void> {
    const server = createServer((socket) => this.#relay(socket));
    await listen(server, this.port);
    this.#server = server;
  }

  async stop(): Promise<void> {
    this.cut();
  }

  #relay(client: Socket): void {
    const upstream = connect(Number(this.#target.port), this.#target.hostname);
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      this.#sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  }
}

async function listen(server: Server, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
}
