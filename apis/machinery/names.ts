import { clip } from './errors.ts';
import type { StatusCause } from './meta.ts';

/** Kubernetes' rules for names, labels and finalizers (k8s.io/apimachinery/pkg/util/validation/validation.go). */

const dns1123Label = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const dns1123Subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const qualifiedPart = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;

const labelRule =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const qualifiedRule =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const labelValueRule =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/** What is wrong with a DNS-1123 label. */
export function dnsLabelProblems(text: string): string[] {
  const problems = text.length > 63 ? ['must be no more than 63 characters'] : [];
  return dns1123Label.test(text) ? problems : [...problems, labelRule];
}

/** What is wrong with a qualified name: a label key, an annotation key or a finalizer. */
export function qualifiedNameProblems(text: string): string[] {
  const slash = text.indexOf('/');
  const prefix = slash === -1 ? undefined : text.slice(0, slash);
  const name = slash === -1 ? text : text.slice(slash + 1);
  const problems: string[] = [];
  if (prefix !== undefined && (prefix.length > 253 || !dns1123Subdomain.test(prefix))) {
    problems.push('prefix part must be a lowercase RFC 1123 subdomain of no more than 253 characters');
  }
  if (name.length > 63) problems.push('name part must be no more than 63 characters');
  if (!qualifiedPart.test(name)) problems.push(qualifiedRule);
  return problems;
}

/** What is wrong with a label's value. */
export function labelValueProblems(text: string): string[] {
  if (text.length > 63) return ['must be no more than 63 characters'];
  return text === '' || qualifiedPart.test(text) ? [] : [labelValueRule];
}

/** The cause of an invalid value, in Kubernetes' words (field.Invalid). */
export function invalidValue(field: string, value: unknown, problem: string): StatusCause {
  return { reason: 'FieldValueInvalid', message: `Invalid value: ${clip(JSON.stringify(value))}: ${problem}`, field };
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
