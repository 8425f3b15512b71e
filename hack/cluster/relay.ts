import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/**
 * A way to a server on this machine that can be cut (what goes over it then is reset, and nobody gets a connection) and that
 * can be held up (nothing comes through any more, and nobody is told).
 */
export class Relay {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #ways = new Map<Socket, Socket>();
  #cut = false;
  #held = false;

  private constructor(port: number) {
    this.#server = createServer((client) => {
      if (this.#cut) {
        client.resetAndDestroy();
        return;
      }
      const target = connect(port, '127.0.0.1');
      this.#join(client, target);
      this.#join(target, client);
    });
  }

  static async open(port: number): Promise<Relay> {
    const relay = new Relay(port);
    relay.#server.listen(0, '127.0.0.1');
    await once(relay.#server, 'listening');
    return relay;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  cut(): void {
    this.#cut = true;
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Nothing comes through until {@link release}; connections stay, and new ones are taken. */
  hold(): void {
    this.#held = true;
    for (const [from, to] of this.#ways) from.unpipe(to).pause();
  }

  release(): void {
    this.#held = false;
    for (const [from, to] of this.#ways) from.pipe(to);
  }

  heal(): void {
    this.#cut = false;
  }

  async stop(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #join(from: Socket, to: Socket): void {
    this.#sockets.add(from);
    from.on('error', () => to.destroy());
    from.once('close', () => {
      this.#sockets.delete(from);
      this.#ways.delete(from);
      to.destroySoon();
    });
    this.#ways.set(from, to);
    if (!this.#held) from.pipe(to);
  }
}
