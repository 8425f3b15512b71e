import { ApiError } from './errors.ts';

export interface FieldRequirement {
  field: string;
  operator: '=' | '!=';
  value: string;
}

/** `==` comes before `=`, or its second half would become part of the value. */
const operators = ['!=', '==', '='] as const;

/**
 * Parses a field selector as k8s.io/apimachinery/pkg/fields/selector.go does: `=`, `==`, `!=`, joined by commas, with
 * backslashes before a comma, equals sign or backslash that is part of a value. Nothing is trimmed.
 * @throws ApiError BadRequest in kube-apiserver's own words.
 */
export function parseFieldSelector(text: string): FieldRequirement[] {
  return splitTerms(text)
    .filter((term) => term !== '')
    .sort()
    .map((term) => parseTerm(term, text));
}

/**
 * Refuses fields that cannot be selected by.
 * @throws ApiError BadRequest.
 */
export function requireKnownFields(requirements: readonly FieldRequirement[], known: readonly string[]): void {
  const unknown = requirements.find(({ field }) => !known.includes(field));
  if (unknown !== undefined) throw new ApiError('BadRequest', `field label not supported: ${unknown.field}`);
}

/** Writes requirements as kube-apiserver reads them. */
export function formatFieldSelector(requirements: readonly FieldRequirement[]): string {
  return requirements
    .map(({ field, operator, value }) => `${field}${operator}${value.replace(/[\\,=]/g, '\\$&')}`)
    .join(',');
}

/** The one value that a field must have, if the selector says so. */
export function exactMatch(requirements: readonly FieldRequirement[], field: string): string | undefined {
  return requirements.find((requirement) => requirement.field === field && requirement.operator === '=')?.value;
}

function parseTerm(term: string, selector: string): FieldRequirement {
  const at = term.search(/!=|=/);
  const operator = operators.find((candidate) => at !== -1 && term.startsWith(candidate, at));
  if (operator === undefined) {
    throw new ApiError('BadRequest', `invalid selector: '${selector}'; can't understand '${term}'`);
  }
  const value = unescaped(term.slice(at + operator.length));
  return { field: term.slice(0, at), operator: operator === '!=' ? '!=' : '=', value };
}

/** Splits at the commas that no backslash escapes. */
function splitTerms(text: string): string[] {
  const terms: string[] = [];
  let start = 0;
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === '\\') at += 1;
    else if (text[at] === ',') {
      terms.push(text.slice(start, at));
      start = at + 1;
    }
  }
  return [...terms, text.slice(start)];
}

function unescaped(text: string): string {
  return text.replace(/\\(.?)|=/gsu, (found, escaped: string | undefined) => {
    // Go prints the character as its number.
    if (found === '=') throw refusal('unescaped character in value: 61');
    if (escaped === undefined || !['\\', ',', '='].includes(escaped))
      throw refusal(`invalid escape sequence: ${found}`);
    return escaped;
  });
}

function refusal(problem: string): ApiError {
  return new ApiError('BadRequest', `invalid field selector: ${problem}`);
}
