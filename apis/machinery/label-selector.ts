import { ApiError } from './errors.ts';
import { labelValueProblems, qualifiedNameProblems } from './names.ts';
import { goQuote } from './quote.ts';

export type LabelOperator = '=' | '==' | '!=' | 'in' | 'notin' | 'exists' | '!' | '>' | '<';

/** One requirement of a label selector. */
export interface LabelRequirement {
  key: string;
  operator: LabelOperator;
  /** Sorted, none twice. */
  values: string[];
}

type Labels = Readonly<Record<string, string>> | undefined;

/** The words of the grammar; everything else is an identifier. */
const words = ['(', ')', ',', '!', '==', '=', '!=', '>', '<', 'in', 'notin'] as const;
type Word = (typeof words)[number];
type TokenKind = Word | 'identifier' | 'end';

interface Token {
  kind: TokenKind;
  text: string;
}

const binaryOperators = ['=', '==', '!=', 'in', 'notin', '>', '<'];
/** In the order in which kube-apiserver names them. */
const namedOperators = ['in', 'notin', '=', '==', '!=', 'gt', 'lt'].join(', ');
const isSpecial = (character: string) => '=!(),><'.includes(character);
const isSpace = (character: string) => ' \t\r\n'.includes(character);
const isWord = (text: string): text is Word => (words as readonly string[]).includes(text);

/** Splits a selector as k8s.io/apimachinery/pkg/labels/selector.go does. */
function scan(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  for (;;) {
    while (at < text.length && isSpace(text.charAt(at))) at += 1;
    if (at >= text.length || text.charAt(at) === '\0') return [...tokens, { kind: 'end', text: '' }];
    const start = at;
    if (isSpecial(text.charAt(at))) {
      const token = scanSpecial(text, at);
      at = token.end;
      tokens.push(token);
      continue;
    }
    while (at < text.length && !isSpecial(text.charAt(at)) && !isSpace(text.charAt(at))) at += 1;
    const word = text.slice(start, at);
    tokens.push({ kind: isWord(word) ? word : 'identifier', text: word });
  }
}

/** The longest operator that begins here; each special character is one by itself. */
function scanSpecial(text: string, start: number): Token & { end: number } {
  let end = start + 1;
  while (end < text.length && isSpecial(text.charAt(end)) && isWord(text.slice(start, end + 1))) end += 1;
  const word = text.slice(start, end) as Word;
  return { kind: word, text: word, end };
}

/** Reads the tokens of one selector from front to back. */
class Parser {
  readonly #tokens: readonly Token[];
  #next = 0;

  constructor(text: string) {
    this.#tokens = scan(text);
  }

  requirements(): LabelRequirement[] {
    const found: LabelRequirement[] = [];
    for (;;) {
      const { kind, text } = this.#peek();
      if (kind === 'end') return found;
      if (kind !== 'identifier' && kind !== '!') {
        throw refusal(`found '${text}', expected: !, identifier, or 'end of string'`);
      }
      found.push(this.#requirement());
      const separator = this.#take();
      if (separator.kind === 'end') return found;
      if (separator.kind !== ',') throw refusal(`found '${separator.text}', expected: ',' or 'end of string'`);
      const following = this.#peek();
      if (following.kind !== 'identifier' && following.kind !== '!') {
        throw refusal(`found '${following.text}', expected: identifier after ','`);
      }
    }
  }

  /** `in` and `notin` are words of their own only where an operator may stand. */
  #peek(): Token {
    const token = this.#tokens[this.#next] ?? { kind: 'end', text: '' };
    return token.kind === 'in' || token.kind === 'notin' ? { kind: 'identifier', text: token.text } : token;
  }

  #take(): Token {
    const token = this.#peek();
    this.#next += 1;
    return token;
  }

  #requirement(): LabelRequirement {
    let token = this.#take();
    const isAbsence = token.kind === '!';
    if (isAbsence) token = this.#take();
    if (token.kind !== 'identifier') throw badRequirement(`found '${token.text}', expected: identifier`);
    const key = token.text;
    const problems = qualifiedNameProblems(key);
    if (problems.length > 0) throw badRequirement(invalid('<nil>', key, problems));
    if (isAbsence) return { key, operator: '!', values: [] };
    const { kind } = this.#peek();
    if (kind === 'end' || kind === ',') return { key, operator: 'exists', values: [] };
    const operator = this.#operator();
    const values = operator === 'in' || operator === 'notin' ? this.#values() : [this.#exactValue()];
    checkValues(key, operator, values);
    return { key, operator, values: [...new Set(values)].sort() };
  }

  #operator(): LabelOperator {
    const token = this.#tokens[this.#next] ?? { kind: 'end', text: '' };
    this.#next += 1;
    if (!binaryOperators.includes(token.kind)) {
      throw badRequirement(`found '${token.text}', expected: ${namedOperators}`);
    }
    return token.kind as LabelOperator;
  }

  #exactValue(): string {
    const { kind } = this.#peek();
    if (kind === 'end' || kind === ',') return '';
    const token = this.#take();
    if (token.kind !== 'identifier') throw badRequirement(`found '${token.text}', expected: identifier`);
    return token.text;
  }

  #values(): string[] {
    const open = this.#take();
    if (open.kind !== '(') throw badRequirement(`found '${open.text}' expected: '('`);
    const first = this.#peek();
    if (first.kind === ')') {
      this.#take();
      return [''];
    }
    if (first.kind !== 'identifier' && first.kind !== ',') {
      throw badRequirement(`found '${first.text}', expected: ',', ')' or identifier`);
    }
    return this.#listed();
  }

  /** Values up to the closing parenthesis; an empty one needs no word of its own. */
  #listed(): string[] {
    const values: string[] = [];
    for (;;) {
      const token = this.#take();
      const following = this.#peek();
      if (token.kind === 'identifier') {
        values.push(token.text);
        if (following.kind === ')') break;
        if (following.kind !== ',') throw badRequirement(`found '${following.text}', expected: ',' or ')'`);
      } else if (token.kind === ',') {
        if (values.length === 0 || following.kind === ',' || following.kind === ')') values.push('');
        if (following.kind === ')') break;
      } else {
        throw badRequirement(`found '${token.text}', expected: ',', or identifier`);
      }
    }
    this.#take();
    return values;
  }
}

/**
 * Parses a label selector in every form (k8s.io/apimachinery/pkg/labels/selector.go).
 * @throws ApiError BadRequest in kube-apiserver's own words.
 */
export function parseLabelSelector(text: string): LabelRequirement[] {
  return new Parser(text).requirements();
}

function checkValues(key: string, operator: LabelOperator, values: readonly string[]): void {
  const problems: string[] = [];
  const sorted = [...new Set(values)].sort();
  if (operator === '>' || operator === '<') {
    const wrong = sorted.findIndex((value) => integer(value) === undefined);
    if (wrong !== -1) {
      const rule = "for 'Gt', 'Lt' operators, the value must be an integer";
      problems.push(invalid(`values[${wrong}]`, sorted[wrong] ?? '', [rule]));
    }
  }
  for (const [index, value] of sorted.entries()) {
    const wrong = labelValueProblems(value);
    if (wrong.length > 0) problems.push(invalid(`values[${index}][${key}]`, value, wrong));
  }
  if (problems.length > 0)
    throw badRequirement(problems.length === 1 ? (problems[0] ?? '') : `[${problems.join(', ')}]`);
}

function invalid(path: string, value: string, problems: readonly string[]): string {
  return `${path}: Invalid value: ${goQuote(value)}: ${problems.join('; ')}`;
}

function badRequirement(problem: string): ApiError {
  return refusal(`unable to parse requirement: ${problem}`);
}

function refusal(problem: string): ApiError {
  return new ApiError('BadRequest', problem);
}

/** A signed 64-bit number as Go's strconv reads it; undefined for anything else. */
function integer(text: string): bigint | undefined {
  if (!/^[+-]?\d+$/.test(text)) return undefined;
  const value = BigInt(text.replace(/^\+/, ''));
  return BigInt.asIntN(64, value) === value ? value : undefined;
}

/** Whether labels fulfil every requirement; `!=` and `notin` hold where the label is absent. */
export function matchesLabels(requirements: readonly LabelRequirement[], labels: Labels): boolean {
  return requirements.every((requirement) => {
    const { key } = requirement;
    return fulfils(requirement, labels !== undefined && Object.hasOwn(labels, key) ? labels[key] : undefined);
  });
}

function fulfils({ operator, values }: LabelRequirement, value: string | undefined): boolean {
  switch (operator) {
    case 'exists':
      return value !== undefined;
    case '!':
      return value === undefined;
    case '!=':
    case 'notin':
      return value === undefined || !values.includes(value);
    case '>':
    case '<': {
      const [has, than] = [integer(value ?? ''), integer(values[0] ?? '')];
      if (has === undefined || than === undefined) return false;
      return operator === '>' ? has > than : has < than;
    }
    default:
      return value !== undefined && values.includes(value);
  }
}

/** Writes requirements as kube-apiserver reads them. */
export function formatLabelSelector(requirements: readonly LabelRequirement[]): string {
  return requirements
    .map(({ key, operator, values }) => {
      if (operator === 'exists') return key;
      if (operator === '!') return `!${key}`;
      if (operator === 'in' || operator === 'notin') return `${key} ${operator} (${values.join(',')})`;
      return `${key}${operator}${values[0]}`;
    })
    .join(',');
}
