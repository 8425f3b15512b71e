import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

const probeEveryMs = 50;

/** A server behind one address. */
export interface Backend {
  port: number;
  /** Where its `/readyz` is, plain HTTP. */
  operationsPort: number;
}

/** One address in front of several servers, as a Service is: each new connection goes to the next one that is ready. */
export class Balancer {
  readonly #backends: readonly Backend[];
  readonly #ready = new Set<Backend>();
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;
  #turn = 0;
  #stopped = false;
  #probing: Promise<void> = Promise.resolve();

  private constructor(backends: readonly Backend[]) {
    this.#backends = backends;
    this.#server = createServer((client) => this.#connect(client));
  }

  static async open(backends: readonly Backend[]): Promise<Balancer> {
    const balancer = new Balancer(backends);
    await balancer.#probe();
    balancer.#probing = balancer.#keepProbing();
    balancer.#server.listen(0, '127.0.0.1');
    await once(balancer.#server, 'listening');
    return balancer;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Whether new connections may go to this one. */
  isReady(backend: Backend): boolean {
    return this.#ready.has(backend);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#probing;
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #connect(client: Socket): void {
    const ready = this.#backends.filter((backend) => this.#ready.has(backend));
    const backend = ready[this.#turn++ % ready.length];
    if (backend === undefined) {
      client.destroy();
      return;
    }
    const server = connect(backend.port, '127.0.0.1');
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(one);
      one.on('error', () => other.destroy());
      one.once('close', () => {
        this.#sockets.delete(one);
        other.destroySoon();
      });
      one.pipe(other);
    }
  }

  async #keepProbing(): Promise<void> {
    while (!this.#stopped) {
      await this.#probe();
      await delay(probeEveryMs);
    }
  }

  async #probe(): Promise<void> {
    await Promise.all(
      this.#backends.map(async (backend) => {
        const answer = await fetch(`http://127.0.0.1:${backend.operationsPort}/readyz`).catch(() => undefined);
        if (answer?.status === 200) this.#ready.add(backend);
        else this.#ready.delete(backend);
      }),
    );
  }
}
