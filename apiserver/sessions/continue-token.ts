import { createHash } from 'node:crypto';
import { ApiError } from '../../apis/machinery/errors.ts';

/** Where a list goes on: after something on a page of kube-apiserver's list of Sandboxes. */
export interface Continuation {
  /** kube-apiserver's own token for that page; undefined for the first page. */
  upstream: string | undefined;
  /** resourceVersion of the list, to find the first page again; undefined when it goes on at the newest version. */
  version: string | undefined;
  /** `namespace/name` of the last Sandbox that was looked at on that page; undefined when none was. */
  after: string | undefined;
}

const format = 'sojourn.dev/v1';
const refused = 'invalid continue token: continue key is not valid';

/** Writes a token that only goes on with the same list. */
export function encodeContinuation({ upstream, version, after }: Continuation, list: string): string {
  const token = { v: format, list: digest(list), page: upstream, rv: version, after };
  return Buffer.from(JSON.stringify(token)).toString('base64url');
}

/**
 * Reads a token of {@link encodeContinuation}. What is no token at all is passed on as it is: kube-apiserver refuses it in its
 * own words.
 * @throws ApiError BadRequest for the token of another list, or of another server.
 */
export function decodeContinuation(text: string, list: string): Continuation {
  const token = parse(text);
  if (token === undefined) return { upstream: text, version: undefined, after: undefined };
  if (token.v !== format) {
    const version = typeof token.v === 'string' ? token.v : '';
    throw new ApiError('BadRequest', `${refused}: server does not recognize this encoded version ${version}`);
  }
  if (token.list !== digest(list)) {
    throw new ApiError('BadRequest', `${refused}: it was issued for another namespace or another selector`);
  }
  return { upstream: optional(token.page), version: optional(token.rv), after: optional(token.after) };
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const token: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
    return typeof token === 'object' && token !== null ? (token as Record<string, unknown>) : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function optional(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function digest(list: string): string {
  return createHash('sha256').update(list).digest('base64url').slice(0, 22);
}
