import { setTimeout as delay } from 'node:timers/promises';
import type { Expected } from './answer.ts';
import { Connection, type Target } from './connection.ts';

/** Requests to one server that are all the same. */
export interface Calls extends Target {
  /** Kept ones; each sends the next request when it has the last answer. */
  connections: number;
  /** In all. */
  requests: number;
  /** Head, and body if there is one. */
  request: string;
  expected: Expected;
}

/** Requests with a large body on one side. */
export interface Transfers extends Omit<Calls, 'requests'> {
  /** In every connection, one after the other. */
  times: number;
  /** Bytes that follow the head of each request: a multiple of {@link blockBytes}, or none. */
  upload: number;
}

export const blockBytes = 64 * 1024;
const block = Buffer.alloc(blockBytes, 'x');

/** How many connections are opened at once. */
const opening = 32;

/** What a load generator can be told to do; times are in milliseconds. */
export class Operations {
  readonly #kept = new Map<string, Connection[]>();

  /** How long each took until its answer was complete. */
  async calls({ requests, request, expected, connections, ...target }: Calls): Promise<number[]> {
    const bytes = Buffer.from(request, 'latin1');
    const latencies: number[] = [];
    let left = requests;
    const repeat = (connection: Connection) =>
      new Promise<void>((resolve, onProblem) => {
        let began = 0;
        const next = () => {
          if (left <= 0) return resolve();
          left -= 1;
          began = performance.now();
          connection.send(bytes, expected, listener);
        };
        const onEnd = () => {
          latencies.push(performance.now() - began);
          next();
        };
        const listener = { onEnd, onProblem };
        next();
      });
    await Promise.all((await this.#keep(target, connections)).map(repeat));
    return latencies;
  }

  /** How long all together took. */
  async transfers({ times, upload, request, expected, connections, ...target }: Transfers): Promise<number> {
    const head = Buffer.from(request, 'latin1');
    const body = { block, times: upload / blockBytes };
    const kept = await this.#keep(target, connections);
    const repeat = async (connection: Connection) => {
      for (let time = 0; time < times; time += 1) {
        await new Promise<void>((onEnd, onProblem) => {
          connection.sendLarge(head, body, expected, { onEnd, onProblem });
        });
      }
    };
    const began = performance.now();
    await Promise.all(kept.map(repeat));
    return performance.now() - began;
  }

  /** How long each took until the first byte of its body, one after the other. */
  async firstBytes({ requests, request, expected, ...target }: Omit<Calls, 'connections'>): Promise<number[]> {
    const bytes = Buffer.from(request, 'latin1');
    const latencies: number[] = [];
    const [connection] = await this.#keep(target, 1);
    for (let sent = 0; sent < requests; sent += 1) {
      await new Promise<void>((onEnd, onProblem) => {
        const began = performance.now();
        const onFirstByte = () => latencies.push(performance.now() - began);
        connection?.send(bytes, expected, { onFirstByte, onEnd, onProblem });
      });
    }
    return latencies;
  }

  /** Opens connections and sends the request on each; they are kept until {@link leave}. */
  async enter({ connections, request, expected, ...target }: Omit<Calls, 'requests'>): Promise<void> {
    const bytes = Buffer.from(request, 'latin1');
    const kept = await this.#keep(target, connections);
    await Promise.all(
      kept.map(
        (connection) =>
          new Promise<void>((onEnd, onProblem) => {
            connection.send(bytes, expected, { onEnd, onProblem });
          }),
      ),
    );
  }

  /** Closes all connections to a server. */
  async leave({ origin }: Pick<Target, 'origin'>): Promise<void> {
    for (const connection of this.#kept.get(origin) ?? []) connection.close();
    this.#kept.delete(origin);
    // Their sockets are closed at the end of this turn.
    await delay(0);
  }

  async #keep(target: Target, count: number): Promise<Connection[]> {
    const kept = (this.#kept.get(target.origin) ?? []).filter(({ closed }) => !closed);
    while (kept.length < count) {
      const more = Array.from({ length: Math.min(opening, count - kept.length) }, () => Connection.open(target));
      kept.push(...(await Promise.all(more)));
    }
    this.#kept.set(target.origin, kept);
    return kept.slice(0, count);
  }
}

/** The name of an operation. */
export type Operation = 'calls' | 'transfers' | 'firstBytes' | 'enter' | 'leave';
