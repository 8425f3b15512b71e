import { ApiError } from './errors.ts';
import { goQuote } from './quote.ts';

/** A boolean parameter as k8s.io/apimachinery/pkg/runtime/conversion.go reads it: everything but 0 and false is true. */
export function readBoolean(text: string | null): boolean {
  return text !== null && text !== '0' && text.toLowerCase() !== 'false';
}

/**
 * A whole number of a parameter; undefined when it is absent.
 * @throws ApiError BadRequest in the words of Go's strconv.ParseInt, also when it is empty.
 */
export function readInt64(text: string | null): bigint | undefined {
  if (text === null) return undefined;
  if (!/^[+-]?\d+$/.test(text)) throw unreadable('ParseInt', text, 'invalid syntax');
  const value = BigInt(text.replace(/^\+/, ''));
  if (BigInt.asIntN(64, value) !== value) throw unreadable('ParseInt', text, 'value out of range');
  return value;
}

/** A resourceVersion: an unsigned 64-bit number; undefined when the text is none. */
export function parseResourceVersion(text: string): bigint | undefined {
  return /^\d+$/.test(text) && BigInt.asUintN(64, BigInt(text)) === BigInt(text) ? BigInt(text) : undefined;
}

/**
 * The resourceVersion of a get or a watch; undefined when it is absent or empty.
 * @throws ApiError as k8s.io/apiserver/pkg/storage's ParseResourceVersion, which has no reason and counts as an internal error.
 */
export function readResourceVersion(text: string | undefined): bigint | undefined {
  if (text === undefined || text === '') return undefined;
  const version = parseResourceVersion(text);
  if (version !== undefined) return version;
  const problem = unreadable('ParseUint', text, /^\d+$/.test(text) ? 'value out of range' : 'invalid syntax');
  throw new ApiError('Unknown', `resourceVersion: Invalid value: ${goQuote(text)}: ${problem.message}`);
}

function unreadable(parser: string, text: string, problem: string): ApiError {
  return new ApiError('BadRequest', `strconv.${parser}: parsing ${goQuote(text)}: ${problem}`);
}
