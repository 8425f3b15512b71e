import { Client, type Dispatcher } from 'undici';

/** A request that is sent again and again, and what must come back. */
export interface Call {
  path: string;
  headers: Record<string, string>;
  /** What is wrong with an answer; undefined when nothing is. */
  problem: (status: number, body: Buffer) => string | undefined;
}

/** GETs over a fixed number of kept connections, each of which sends the next request when it has the last answer. */
export class ClosedLoop {
  readonly #origin: string;
  readonly #clients: Client[];

  /** @param options.ca PEM, for an https origin. */
  constructor(options: { origin: string; ca: string; connections: number }) {
    this.#origin = options.origin;
    const connect = { ca: options.ca };
    this.#clients = Array.from({ length: options.connections }, () => {
      return new Client(options.origin, { connect, allowH2: false, pipelining: 1, keepAliveTimeout: 60_000 });
    });
  }

  /**
   * Sends `requests` requests in all and returns how long each took, in milliseconds.
   * @throws Error when an answer is wrong or does not come.
   */
  async run(call: Call, requests: number): Promise<number[]> {
    const latencies: number[] = [];
    let left = requests;
    const work = async (client: Client) => {
      while (left > 0) {
        left -= 1;
        latencies.push(await this.#send(client, call));
      }
    };
    await Promise.all(this.#clients.map(work));
    return latencies;
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.destroy()));
  }

  async #send(client: Client, { path, headers, problem }: Call): Promise<number> {
    const exchange = new Exchange();
    const began = performance.now();
    client.dispatch({ path, method: 'GET', headers, headersTimeout: 10_000, bodyTimeout: 10_000 }, exchange);
    const { status, body } = await exchange.answer;
    const took = performance.now() - began;
    const wrong = problem(status, body);
    if (wrong !== undefined) throw new Error(`GET ${this.#origin}${path} gave a wrong answer: ${wrong}`);
    return took;
  }
}

/** One answer, collected with as little work as possible: what the client costs is in every number. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly #answer = Promise.withResolvers<{ status: number; body: Buffer }>();
  readonly #chunks: Buffer[] = [];
  #status = 0;

  get answer(): Promise<{ status: number; body: Buffer }> {
    return this.#answer.promise;
  }

  onRequestStart(): void {
    this.#status = 0;
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number): void {
    this.#status = status;
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    this.#answer.resolve({ status: this.#status, body: Buffer.concat(this.#chunks) });
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#answer.reject(error);
  }
}
