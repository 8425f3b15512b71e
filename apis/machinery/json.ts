import { goQuote } from './quote.ts';

/** Problems of strict decoding that are told at most (sigs.k8s.io/json, saveStrictError). */
const mostStrictProblems = 100;

/**
 * Nesting that is not read. Go's decoder gives up at ten times as much (encoding/json, maxNestingDepth), but whatever walks through
 * the value afterwards has a stack of its own.
 */
const deepestNesting = 1_000;

/** A text that is no JSON, in the words of Go's decoder, which are kube-apiserver's. */
export class JsonSyntaxError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'JsonSyntaxError';
  }
}

/** A decoded JSON text. */
export interface ParsedJson {
  /** Of several members of one name the last one counts. */
  value: unknown;
  /** Paths of members that occur more than once in their object, as `spec.idleTimeout` or `items[0].name`, 100 at most. */
  duplicates: string[];
}

/**
 * Decodes JSON as sigs.k8s.io/json does: duplicate members are found, nesting is bounded. Objects have plain prototypes;
 * a member named `__proto__` is a member.
 * @throws JsonSyntaxError.
 */
export function parseJson(text: string): ParsedJson {
  const scanner = new JsonScanner(text);
  scanner.scan();
  return { value: JSON.parse(text), duplicates: scanner.duplicates };
}

interface Frame {
  /** Names of an object's members so far; undefined for an array. */
  names: Set<string> | undefined;
  /** The member or index that is being read, as a path writes it. */
  step: string;
  index: number;
}

const marks = {
  object: 0x7b,
  objectEnd: 0x7d,
  array: 0x5b,
  arrayEnd: 0x5d,
  quote: 0x22,
  comma: 0x2c,
  colon: 0x3a,
} as const;
const backslash = 0x5c;
const literals: Readonly<Record<number, string>> = { 116: 'true', 102: 'false', 110: 'null' };

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

/** Reads a text once, without recursion. */
class JsonScanner {
  readonly #text: string;
  readonly #duplicates = new Set<string>();
  readonly #stack: Frame[] = [];
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get duplicates(): string[] {
    return [...this.#duplicates];
  }

  scan(): void {
    this.#value();
    for (let frame = this.#stack.at(-1); frame !== undefined; frame = this.#stack.at(-1)) this.#next(frame);
    this.#skipSpace();
    if (this.#at < this.#text.length) throw this.#unexpected('after top-level value');
  }

  /** Reads a scalar, or the beginning of an object or array. */
  #value(): void {
    const code = this.#peek();
    if (code === marks.object) this.#begin({ names: new Set(), step: '', index: -1 });
    else if (code === marks.array) this.#begin({ names: undefined, step: '', index: -1 });
    else if (code === marks.quote) this.#string();
    else if (literals[code] !== undefined) this.#literal(literals[code]);
    else this.#number();
  }

  #begin(frame: Frame): void {
    if (this.#stack.length >= deepestNesting) throw this.#unexpected('exceeded max depth');
    this.#at += 1;
    this.#stack.push(frame);
  }

  /** Reads the next member of the innermost object or array, or its end. */
  #next(frame: Frame): void {
    const { names } = frame;
    const isArray = names === undefined;
    const code = this.#peek();
    if (code === (isArray ? marks.arrayEnd : marks.objectEnd)) {
      this.#at += 1;
      this.#stack.pop();
      return;
    }
    if (frame.index >= 0) {
      if (code !== marks.comma) throw this.#unexpected(isArray ? 'after array element' : 'after object key:value pair');
      this.#at += 1;
    }
    frame.index += 1;
    if (isArray) this.#value();
    else this.#member(frame, names);
  }

  #member(frame: Frame, names: Set<string>): void {
    if (this.#peek() !== marks.quote) throw this.#unexpected('looking for beginning of object key string');
    const begin = this.#at;
    const isEscaped = this.#string();
    const raw = this.#text.slice(begin, this.#at);
    frame.step = isEscaped ? (JSON.parse(raw) as string) : raw.slice(1, -1);
    if (!names.has(frame.step)) names.add(frame.step);
    else if (this.#duplicates.size < mostStrictProblems) this.#duplicates.add(this.#path());
    if (this.#peek() !== marks.colon) throw this.#unexpected('after object key');
    this.#at += 1;
    this.#value();
  }

  #path(): string {
    let path = '';
    for (const { names, step, index } of this.#stack) {
      if (names === undefined) path += `[${index}]`;
      else path += path === '' ? step : `.${step}`;
    }
    return path;
  }

  /** Reads a string; says whether it has escapes. */
  #string(): boolean {
    const text = this.#text;
    let isEscaped = false;
    for (let at = this.#at + 1; at < text.length; at += 1) {
      const code = text.charCodeAt(at);
      if (code === marks.quote) {
        this.#at = at + 1;
        return isEscaped;
      }
      if (code < 0x20) {
        this.#at = at;
        throw this.#unexpected('in string literal');
      }
      if (code === backslash) {
        isEscaped = true;
        at = this.#escape(at + 1);
      }
    }
    throw this.#ended();
  }

  /** Checks an escape whose letter is at `at`; gives where it ends. */
  #escape(at: number): number {
    const letter = this.#text[at];
    if (letter === undefined) throw this.#ended();
    this.#at = at;
    if (letter !== 'u') {
      if (!'"\\/bfnrt'.includes(letter)) throw this.#unexpected('in string escape code');
      return at;
    }
    for (let digit = 1; digit <= 4; digit += 1) {
      const found = this.#text[at + digit];
      if (found === undefined) throw this.#ended();
      this.#at = at + digit;
      if (!/[0-9a-fA-F]/.test(found)) throw this.#unexpected('in \\u hexadecimal character escape');
    }
    return at + 4;
  }

  #literal(word: string): void {
    for (let index = 1; index < word.length; index += 1) {
      this.#at += 1;
      if (this.#at >= this.#text.length) throw this.#ended();
      if (this.#text[this.#at] !== word[index])
        throw this.#unexpected(`in literal ${word} (expecting '${word[index]}')`);
    }
    this.#at += 1;
  }

  #number(): void {
    const text = this.#text;
    if (text[this.#at] === '-') {
      this.#at += 1;
      this.#digits('in numeric literal');
    } else if (isDigit(text.charCodeAt(this.#at))) this.#digits('in numeric literal');
    else throw this.#unexpected('looking for beginning of value');
    if (text[this.#at] === '.') {
      this.#at += 1;
      this.#digits('after decimal point in numeric literal', { leadingZeros: true });
    }
    if (text[this.#at] === 'e' || text[this.#at] === 'E') {
      this.#at += 1;
      if (text[this.#at] === '+' || text[this.#at] === '-') this.#at += 1;
      this.#digits('in exponent of numeric literal', { leadingZeros: true });
    }
  }

  #digits(context: string, { leadingZeros }: { leadingZeros: boolean } = { leadingZeros: false }): void {
    const text = this.#text;
    if (this.#at >= text.length) throw this.#ended();
    if (!isDigit(text.charCodeAt(this.#at))) throw this.#unexpected(context);
    if (!leadingZeros && text[this.#at] === '0') this.#at += 1;
    else while (isDigit(text.charCodeAt(this.#at))) this.#at += 1;
  }

  #skipSpace(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.#at += 1;
    }
  }

  /** The code of the next character that is no space. */
  #peek(): number {
    this.#skipSpace();
    if (this.#at >= this.#text.length) throw this.#ended();
    return this.#text.charCodeAt(this.#at);
  }

  #ended(): JsonSyntaxError {
    return new JsonSyntaxError('unexpected end of JSON input');
  }

  #unexpected(context: string): JsonSyntaxError {
    const character = this.#text[this.#at] ?? '';
    return new JsonSyntaxError(`invalid character ${quoteCharacter(character)} ${context}`);
  }
}

/** A character as Go's scanner names it; one beyond ASCII by the first byte of its UTF-8. */
function quoteCharacter(character: string): string {
  if (character === "'") return "'\\''";
  if (character === '"') return "'\"'";
  const [first = 0] = Buffer.from(character, 'utf8');
  const quoted = goQuote(first < 0x80 ? character : String.fromCodePoint(first));
  return `'${quoted.slice(1, -1)}'`;
}
