import { clip } from './errors.ts';
import type { StatusCause } from './meta.ts';
import { goQuote } from './quote.ts';

/** Kubernetes' rules for names, labels and finalizers, in its words (k8s.io/apimachinery/pkg/api/validate/content). */

const dns1123Label = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const dns1123Subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const qualifiedPart = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;

const labelRule =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const subdomainRule =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const qualifiedRule =
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const labelValueRule =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/** What is wrong with a DNS-1123 label. */
export function dnsLabelProblems(text: string): string[] {
  const problems = tooLong(text, 63);
  return dns1123Label.test(text) ? problems : [...problems, labelRule];
}

/** What is wrong with a DNS-1123 subdomain. */
function dnsSubdomainProblems(text: string): string[] {
  const problems = tooLong(text, 253);
  return dns1123Subdomain.test(text) ? problems : [...problems, subdomainRule];
}

/** What is wrong with a qualified name: a label key, an annotation key or a finalizer. */
export function qualifiedNameProblems(text: string): string[] {
  const parts = text.split('/');
  if (parts.length > 2) {
    return [
      `a valid label key ${qualifiedRule} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
    ];
  }
  const name = parts.at(-1) ?? '';
  const problems: string[] = [];
  if (parts.length === 2) {
    const [prefix = ''] = parts;
    if (prefix === '') problems.push('prefix part must be non-empty');
    else problems.push(...dnsSubdomainProblems(prefix).map((problem) => `prefix part ${problem}`));
  }
  if (name === '') problems.push('name part must be non-empty');
  else problems.push(...tooLong(name, 63).map((problem) => `name part ${problem}`));
  if (!qualifiedPart.test(name)) problems.push(`name part ${qualifiedRule}`);
  return problems;
}

/** What is wrong with a label's value. */
export function labelValueProblems(text: string): string[] {
  const problems = tooLong(text, 63);
  return text === '' || qualifiedPart.test(text) ? problems : [...problems, labelValueRule];
}

function tooLong(text: string, mostBytes: number): string[] {
  return Buffer.byteLength(text) > mostBytes ? [`must be no more than ${mostBytes} bytes`] : [];
}

/** The cause of an invalid value, in Kubernetes' words (field.Invalid); texts are quoted as Go does, all else is JSON. */
export function invalidValue(field: string, value: unknown, problem: string): StatusCause {
  const shown = typeof value === 'string' ? goQuote(clip(value)) : clip(JSON.stringify(value));
  return { reason: 'FieldValueInvalid', message: `Invalid value: ${shown}: ${problem}`, field };
}

/** The cause of an invalid value that a rule is about as a whole, as those of CRDs are (x-kubernetes-validations). */
export function ruleBroken(field: string, problem: string): StatusCause {
  return { reason: 'FieldValueInvalid', message: `Invalid value: ${problem}`, field };
}

/** What is wrong with a change of a field that cannot change (FieldImmutableErrorMsg). */
export const immutable = 'field is immutable';

/** The cause of a missing value (field.Required). */
export function requiredValue(field: string, problem?: string): StatusCause {
  return {
    reason: 'FieldValueRequired',
    message: problem === undefined ? 'Required value' : `Required value: ${problem}`,
    field,
  };
}

/** The cause of a value that may not be set here (field.Forbidden). */
export function forbiddenValue(field: string, problem: string): StatusCause {
  return { reason: 'FieldValueForbidden', message: `Forbidden: ${problem}`, field };
}

/** The cause of a value that is none of a closed list (field.NotSupported). */
export function unsupportedValue(field: string, value: unknown, supported: readonly string[]): StatusCause {
  const shown = typeof value === 'string' ? goQuote(clip(value)) : clip(JSON.stringify(value));
  const words = supported.map((word) => goQuote(word)).join(', ');
  return {
    reason: 'FieldValueNotSupported',
    message: `Unsupported value: ${shown}: supported values: ${words}`,
    field,
  };
}

/** The cause of too long a text or map (field.TooLong). */
export function tooLongValue(field: string, mostBytes: number): StatusCause {
  return { reason: 'FieldValueTooLong', message: `Too long: may not be more than ${mostBytes} bytes`, field };
}
