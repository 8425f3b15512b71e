import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';

/** A client that speaks HTTP/2 frames of its own making, for what no HTTP/2 library would send. */
export class RawHttp2Client {
  readonly socket: TLSSocket;
  readonly #frames: Frame[] = [];
  #pending: Buffer = Buffer.alloc(0);
  #over = false;

  private constructor(socket: TLSSocket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.#over = true;
    });
  }

  /** Connects and greets, with empty settings. */
  static async connect(port: number, ca: string): Promise<RawHttp2Client> {
    const socket = connect({ port, host: '127.0.0.1', ca, ALPNProtocols: ['h2'] });
    await once(socket, 'secureConnect');
    const client = new RawHttp2Client(socket);
    socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    client.send({ type: 4, flags: 0, stream: 0 });
    return client;
  }

  get frames(): readonly Frame[] {
    return this.#frames;
  }

  /** Whether the connection is closed. */
  get over(): boolean {
    return this.#over;
  }

  /** The error code of a GOAWAY, if one came. */
  get goaway(): number | undefined {
    return this.#frames.find(({ type }) => type === 7)?.payload.readUInt32BE(4);
  }

  /** The error code with which a stream was reset, if it was. */
  resetOf(stream: number): number | undefined {
    return this.#frames.find((frame) => frame.type === 3 && frame.stream === stream)?.payload.readUInt32BE(0);
  }

  /** Whether a stream got headers. */
  answered(stream: number): boolean {
    return this.#frames.some((frame) => frame.type === 1 && frame.stream === stream);
  }

  send({ type, flags, stream, payload = Buffer.alloc(0) }: NewFrame): void {
    const head = Buffer.alloc(9);
    head.writeUIntBE(payload.length, 0, 3);
    head.writeUInt8(type, 3);
    head.writeUInt8(flags, 4);
    head.writeUInt32BE(stream, 5);
    if (!this.socket.destroyed) this.socket.write(Buffer.concat([head, payload]));
  }

  /** Sends a HEADERS frame; `end` says whether the request is over with it. */
  request(stream: number, fields: readonly (readonly [string, string])[], { end = true } = {}): void {
    this.send({ type: 1, flags: end ? 0x5 : 0x4, stream, payload: block(fields) });
  }

  close(): void {
    this.socket.destroy();
  }

  #take(chunk: Buffer): void {
    this.#pending = Buffer.concat([this.#pending, chunk]);
    while (this.#pending.length >= 9) {
      const length = this.#pending.readUIntBE(0, 3);
      if (this.#pending.length < 9 + length) return;
      const frame = {
        type: this.#pending.readUInt8(3),
        flags: this.#pending.readUInt8(4),
        stream: this.#pending.readUInt32BE(5),
        payload: this.#pending.subarray(9, 9 + length),
      };
      this.#pending = this.#pending.subarray(9 + length);
      this.#frames.push(frame);
      if (frame.type === 4 && (frame.flags & 1) === 0) this.send({ type: 4, flags: 1, stream: 0 });
    }
  }
}

/** RFC 9113 §4.1. */
interface Frame {
  type: number;
  flags: number;
  stream: number;
  payload: Buffer;
}

interface NewFrame extends Omit<Frame, 'payload'> {
  payload?: Buffer;
}

/** A header block of literals without indexing (RFC 7541 §6.2.2): any bytes may be in it. */
export function block(fields: readonly (readonly [string, string])[]): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), literal(name), literal(value)]));
}

function literal(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  const length = [127];
  let rest = bytes.length - 127;
  for (; rest >= 128; rest >>= 7) length.push((rest & 127) | 128);
  return Buffer.concat([Buffer.from([...length, rest]), bytes]);
}
