const endOfHead = '\r\n\r\n';
const lastChunk = '\r\n0\r\n\r\n';
/** Bodies up to this length are kept, to be looked at. */
const keptBytes = 1024;

/** What is to come back. */
export interface Expected {
  status: number;
  /** Length of the body; undefined where it is chunked. */
  bytes?: number;
  /** The whole body, for a short one. */
  body?: string;
}

/** Reads one answer as it comes, with as little work as possible: what the client costs is in every number. */
export class Answer {
  #head = '';
  #headless = true;
  #status = 0;
  #length: number | undefined;
  #bytes = 0;
  #body = '';

  /** Whether something of the body has come. */
  get heard(): boolean {
    return this.#bytes > 0;
  }

  /** Takes what came; true when the answer is complete by it. */
  take(chunk: Buffer): boolean {
    if (this.#headless) {
      this.#head += chunk.toString('latin1');
      const end = this.#head.indexOf(endOfHead);
      if (end === -1) return false;
      const rest = this.#head.slice(end + endOfHead.length);
      this.#read(this.#head.slice(0, end));
      this.#bytes = rest.length;
      this.#body = rest.slice(0, keptBytes);
    } else {
      this.#bytes += chunk.length;
      if (this.#bytes <= keptBytes) this.#body += chunk.toString('latin1');
    }
    if (this.#status === 101) return true;
    return this.#length === undefined ? this.#body.endsWith(lastChunk) : this.#bytes >= this.#length;
  }

  /** What is wrong with a complete answer; undefined when nothing is. */
  problem({ status, bytes, body }: Expected): string | undefined {
    const right =
      this.#status === status &&
      (bytes === undefined || this.#bytes === bytes) &&
      (body === undefined || this.#body === body);
    return right ? undefined : `${this.#head.slice(0, 300)} with ${this.#bytes} bytes: ${this.#body.slice(0, 300)}`;
  }

  #read(head: string): void {
    this.#headless = false;
    this.#head = head;
    this.#status = Number(head.slice('HTTP/1.1 '.length, 'HTTP/1.1 200'.length));
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
    this.#length = length === undefined ? undefined : Number(length);
  }
}
