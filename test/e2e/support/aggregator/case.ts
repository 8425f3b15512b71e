/** What came of one request: what the client got, and, where the program said it, what the program got. */
export interface Seen {
  /** All bytes of the answer, one character each. */
  text: string;
  code: string;
  /** Headers of the answer, without the status line. */
  head: string;
  /** The body as sent. */
  body: string;
}

export interface Case {
  name: string;
  /** Method, what follows `/proxy`, further header lines, and the body. */
  send: [method: string, target: string, headers?: string[], body?: string];
  version?: string;
  /** How long an answer is waited for that is not to come. */
  patienceMs?: number;
  /** Enough of an answer when no more comes by itself. */
  enough?: RegExp;
  see: (seen: Seen) => string;
  direct: string;
  aggregated: string;
}

/** What is sent, and when its answer is whole. */
export type Request = Pick<Case, 'send' | 'version' | 'enough' | 'patienceMs'>;
