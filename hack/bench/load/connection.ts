import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { Answer, type Expected } from './answer.ts';

/** Where to connect to. */
export interface Target {
  /** `http://` or `https://` with an address and a port. */
  origin: string;
  /** PEM, for https. */
  ca: string;
}

/** Called as an answer comes. */
export interface Listener {
  /** The first byte of the body. */
  onFirstByte?: () => void;
  onEnd: () => void;
  /** A wrong answer, or none. */
  onProblem: (error: Error) => void;
}

interface Waiting extends Listener {
  answer: Answer;
  expected: Expected;
}

/** A kept connection with one request at a time. */
export class Connection {
  readonly #socket: Socket;
  readonly #origin: string;
  #waiting: Waiting | undefined;

  private constructor(socket: Socket, origin: string) {
    this.#socket = socket;
    this.#origin = origin;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', () => socket.destroy());
    socket.on('close', () =>
      this.#waiting?.onProblem(new Error(`${origin} closed the connection instead of an answer`)),
    );
  }

  static async open({ origin, ca }: Target): Promise<Connection> {
    const { protocol, hostname: host, port } = new URL(origin);
    const secure = protocol === 'https:';
    const options = { host, port: Number(port) };
    const socket = secure ? connectTls({ ...options, ca, ALPNProtocols: ['http/1.1'] }) : connectTcp(options);
    await new Promise<void>((resolve, reject) => {
      socket.once(secure ? 'secureConnect' : 'connect', resolve);
      socket.once('error', reject);
    });
    return new Connection(socket, origin);
  }

  get closed(): boolean {
    return this.#socket.destroyed;
  }

  /** Sends a request; the listener hears of its answer. */
  send(request: Buffer, expected: Expected, listener: Listener): void {
    this.#waiting = { ...listener, expected, answer: new Answer() };
    this.#socket.write(request);
  }

  /** Sends a request with a body of one block again and again. */
  sendLarge(head: Buffer, body: { block: Buffer; times: number }, expected: Expected, listener: Listener): void {
    this.send(head, expected, listener);
    this.#pour(body.block, body.times);
  }

  close(): void {
    this.#waiting = undefined;
    this.#socket.destroy();
  }

  #pour(block: Buffer, times: number): void {
    for (let left = times; left > 0; ) {
      left -= 1;
      if (!this.#socket.write(block)) {
        if (left > 0) this.#socket.once('drain', () => this.#pour(block, left));
        return;
      }
    }
  }

  #take(chunk: Buffer): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    const { answer, expected, onFirstByte, onEnd, onProblem } = waiting;
    const heard = answer.heard;
    const complete = answer.take(chunk);
    if (!heard && answer.heard) onFirstByte?.();
    if (!complete) return;
    this.#waiting = undefined;
    const problem = answer.problem(expected);
    if (problem === undefined) onEnd();
    else onProblem(new Error(`${this.#origin} gave a wrong answer: ${problem}`));
  }
}
