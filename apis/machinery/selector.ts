import { ApiError, clip } from './errors.ts';
import { labelValueProblems, qualifiedNameProblems } from './names.ts';

export type LabelOperator = '=' | '!=' | 'in' | 'notin' | 'exists' | '!';

/** One requirement of a label selector. */
export interface LabelRequirement {
  key: string;
  operator: LabelOperator;
  values: string[];
}

type Labels = Readonly<Record<string, string>> | undefined;

/** Longer selectors are refused: each watcher's is evaluated for every event. */
const longestSelector = 10_000;
const token = /\s*(?:(==|!=|=|,|\(|\)|!)|([^\s=!,()]+))/y;

/** The tokens of a selector, read from front to back. */
class Tokens {
  readonly #tokens: string[] = [];
  readonly #text: string;
  #next = 0;

  constructor(text: string) {
    this.#text = text;
    token.lastIndex = 0;
    const end = text.trimEnd().length;
    while (token.lastIndex < end) {
      const match = token.exec(text);
      if (match === null) throw this.unparsable();
      this.#tokens.push(match[1] ?? match[2] ?? '');
    }
  }

  get over(): boolean {
    return this.#next >= this.#tokens.length;
  }

  peek(): string | undefined {
    return this.#tokens[this.#next];
  }

  take(): string | undefined {
    const taken = this.#tokens[this.#next];
    this.#next += 1;
    return taken;
  }

  unparsable(): ApiError {
    const quoted = JSON.stringify(clip(this.#text));
    return new ApiError(
      'BadRequest',
      `unable to parse label selector ${quoted}: use forms such as app=web,tier!=db,env in (a,b),!x`,
    );
  }
}

/**
 * Parses a label selector in every form (k8s.io/apimachinery/pkg/labels/selector.go).
 * @throws ApiError BadRequest.
 */
export function parseLabelSelector(text: string): LabelRequirement[] {
  refuseLong(text);
  const tokens = new Tokens(text);
  const requirements: LabelRequirement[] = [];
  while (!tokens.over) {
    requirements.push(parseRequirement(tokens));
    if (tokens.over) break;
    if (tokens.take() !== ',' || tokens.over) throw tokens.unparsable();
  }
  return requirements;
}

function refuseLong(text: string): void {
  if (text.length <= longestSelector) return;
  throw new ApiError('BadRequest', `a selector may have ${longestSelector} characters, this one has ${text.length}`);
}

function parseRequirement(tokens: Tokens): LabelRequirement {
  const first = tokens.take() ?? '';
  if (first === '!') return requirement(tokens.take() ?? '', '!', []);
  const next = tokens.peek();
  if (next === undefined || next === ',') return requirement(first, 'exists', []);
  tokens.take();
  if (next === '=' || next === '==' || next === '!=') {
    const value = tokens.over || tokens.peek() === ',' ? '' : (tokens.take() ?? '');
    return requirement(first, next === '!=' ? '!=' : '=', [value]);
  }
  if (next === 'in' || next === 'notin') return requirement(first, next, parseValues(tokens));
  throw tokens.unparsable();
}

function parseValues(tokens: Tokens): string[] {
  if (tokens.take() !== '(') throw tokens.unparsable();
  const values: string[] = [];
  for (;;) {
    // An empty value stands before a comma or the end without a word of its own.
    const isEmpty = tokens.peek() === ',' || tokens.peek() === ')';
    values.push(isEmpty ? '' : (tokens.take() ?? ''));
    const separator = tokens.take();
    if (separator === ')') return values;
    if (separator !== ',') throw tokens.unparsable();
  }
}

function requirement(key: string, operator: LabelOperator, values: string[]): LabelRequirement {
  const problem = qualifiedNameProblems(key)[0] ?? values.flatMap(labelValueProblems)[0];
  if (problem !== undefined) throw new ApiError('BadRequest', `unable to parse requirement: ${problem}`);
  return { key, operator, values };
}

/** Whether labels fulfil every requirement; `!=` and `notin` hold where the label is absent. */
export function matchesLabels(requirements: readonly LabelRequirement[], labels: Labels): boolean {
  return requirements.every(({ key, operator, values }) => {
    const value = labels !== undefined && Object.hasOwn(labels, key) ? labels[key] : undefined;
    if (operator === 'exists') return value !== undefined;
    if (operator === '!') return value === undefined;
    const listed = value !== undefined && values.includes(value);
    return operator === '=' || operator === 'in' ? listed : !listed;
  });
}

/** Writes requirements as kube-apiserver reads them. */
export function formatLabelSelector(requirements: readonly LabelRequirement[]): string {
  return requirements
    .map(({ key, operator, values }) => {
      if (operator === 'exists') return key;
      if (operator === '!') return `!${key}`;
      return operator === '=' || operator === '!='
        ? `${key}${operator}${values[0]}`
        : `${key} ${operator} (${values.join(',')})`;
    })
    .join(',');
}

export interface FieldRequirement {
  field: string;
  operator: '=' | '!=';
  value: string;
}

/**
 * Parses a field selector (k8s.io/apimachinery/pkg/fields/selector.go): `=`, `==`, `!=`, joined by commas, with
 * backslashes before a comma, equals sign or backslash that is part of a value.
 * @throws ApiError BadRequest, also for a field that is not among the known ones.
 */
export function parseFieldSelector(text: string, known: readonly string[]): FieldRequirement[] {
  refuseLong(text);
  return splitTerms(text).map((term) => {
    const at = term.search(/[=!]/);
    const operator = at === -1 ? undefined : ['==', '!=', '='].find((candidate) => term.startsWith(candidate, at));
    if (operator === undefined) {
      throw new ApiError(
        'BadRequest',
        `invalid selector: ${JSON.stringify(clip(text))}; can't understand ${JSON.stringify(clip(term))}`,
      );
    }
    const field = term.slice(0, at).trim();
    const value = term.slice(at + operator.length).trim();
    if (!known.includes(field)) {
      throw new ApiError(
        'BadRequest',
        `field label not supported: ${clip(field)}; a session can be selected by ${known.join(', ')}`,
      );
    }
    return { field, operator: operator === '!=' ? '!=' : '=', value: value.replace(/\\([\\,=])/g, '$1') };
  });
}

/** Splits at the commas that no backslash escapes. */
function splitTerms(text: string): string[] {
  const terms = text.match(/(?:\\.|[^\\,])+/gs) ?? [];
  return terms;
}
