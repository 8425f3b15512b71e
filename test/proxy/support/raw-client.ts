import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { until } from '../../support/until.ts';

/** A client that speaks bytes and remembers what it heard. */
export class RawClient {
  readonly socket: Socket;
  #heard = Buffer.alloc(0);
  #ended = false;
  #error: NodeJS.ErrnoException | undefined;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#heard = Buffer.concat([this.#heard, chunk]);
    });
    socket.on('end', () => {
      this.#ended = true;
    });
    socket.on('error', (error) => {
      this.#error = error;
    });
  }

  static async connect(port: number): Promise<RawClient> {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const client = new RawClient(socket);
    await once(socket, 'connect');
    return client;
  }

  /** What was heard, one character per byte. */
  get text(): string {
    return this.#heard.toString('latin1');
  }

  /** Whether the other side said goodbye properly. */
  get ended(): boolean {
    return this.#ended;
  }

  /** The code of the socket's error, ECONNRESET for instance. */
  get errorCode(): string | undefined {
    return this.#error?.code;
  }

  send(text: string | Buffer): void {
    this.socket.write(typeof text === 'string' ? Buffer.from(text, 'latin1') : text);
  }

  /** Waits until the bytes heard fit. */
  async hear(pattern: RegExp): Promise<string> {
    await until(`bytes like ${pattern}`, () => pattern.test(this.text), { seen: () => this.text.slice(0, 500) });
    return this.text;
  }

  /** Waits until the connection is over in either way. */
  async over(): Promise<void> {
    await until('the end of the connection', () => this.#ended || this.#error !== undefined || this.socket.destroyed);
  }

  close(): void {
    this.socket.destroy();
  }
}

/** One request over a connection of its own, until the server closes it: the request must say `Connection: close`. */
export async function exchange(port: number, request: string): Promise<string> {
  const client = await RawClient.connect(port);
  client.send(request);
  await client.over();
  client.close();
  return client.text;
}

/** The body of an answer that was closed by its connection and has no chunks. */
export function bodyOf(answer: string): string {
  return answer.slice(answer.indexOf('\r\n\r\n') + 4);
}

/** The JSON in an answer's body. */
export function jsonOf<T = Record<string, unknown>>(answer: string): T {
  return JSON.parse(bodyOf(answer)) as T;
}

/** The first number of an answer. */
export function codeOf(answer: string): number {
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1]);
}
