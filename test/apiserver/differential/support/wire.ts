import { gunzipSync } from 'node:zlib';
import { Agent, type Dispatcher } from 'undici';
import type { ClusterConfig } from '../../../../apis/client/kubeconfig.ts';

/** A request as it goes over the wire: nothing is added but credentials and the length of the body. */
export interface WireRequest {
  method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Absolute path, percent-encoded, without query. */
  path: string;
  /** Values of a list are repeated parameters; a string is sent as it is written. */
  query?: string | Record<string, string | readonly string[]>;
  /** A list of values is sent as several lines. */
  headers?: Record<string, string | readonly string[]>;
  /** Sent as it is; an object is sent as JSON. */
  body?: string | Buffer | object;
}

export interface WireAnswer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  /** The body as UTF-8, unpacked. */
  text: string;
}

/** An answer that goes on: `text` is what has come of it so far. */
export interface OpenAnswer extends WireAnswer {
  close(): void;
}

/** Sends requests to kube-apiserver with one user's credentials. */
export class Wire {
  readonly #server: string;
  readonly #agent: Agent;

  constructor({ server, ca, cert, key }: ClusterConfig) {
    this.#server = server;
    this.#agent = new Agent({
      connections: 16,
      allowH2: false,
      connect: {
        ...(ca === undefined ? {} : { ca }),
        ...(cert === undefined ? {} : { cert }),
        ...(key === undefined ? {} : { key }),
      },
    });
  }

  async send(request: WireRequest): Promise<WireAnswer> {
    const response = await this.#request(request);
    const bytes = Buffer.from(await response.body.arrayBuffer());
    const text = (response.headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes).toString('utf8');
    return { status: response.statusCode, headers: response.headers, text };
  }

  /** Sends a request whose answer goes on; resolves when the answer begins. The connection is lost with `close`. */
  async open(request: WireRequest): Promise<OpenAnswer> {
    const { statusCode: status, headers, body } = await this.#request(request);
    const answer = { status, headers, text: '', close: () => body.destroy() };
    body.setEncoding('utf8');
    body.on('data', (chunk: string) => {
      answer.text += chunk;
    });
    // That it was cut is seen by what is missing.
    body.on('error', () => undefined);
    return answer;
  }

  async #request({ method, path, query, headers = {}, body }: WireRequest): Promise<Dispatcher.ResponseData> {
    return await this.#agent.request({
      origin: this.#server,
      path: path + queryText(query),
      method,
      headers: Object.fromEntries(
        Object.entries(headers).map(([name, value]) => [name, typeof value === 'string' ? value : [...value]]),
      ),
      body: body === undefined ? null : typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body),
      headersTimeout: 60_000,
      bodyTimeout: 60_000,
    });
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }
}

function queryText(query: WireRequest['query']): string {
  if (query === undefined || query === '') return '';
  if (typeof query === 'string') return `?${query}`;
  const pairs = Object.entries(query).flatMap(([name, value]) =>
    [value].flat().map((one): [string, string] => [name, one as string]),
  );
  return pairs.length === 0 ? '' : `?${new URLSearchParams(pairs).toString()}`;
}
