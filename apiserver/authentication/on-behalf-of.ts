import { ApiError } from '../../apis/machinery/errors.ts';
import { group, resource, version } from '../../apis/names.ts';
import type { Log } from '../../apis/runtime/log.ts';
import type { Authorizer } from '../../proxy/access/authorize.ts';
import { onBehalfOfHeader } from '../../proxy/access/caller.ts';
import type { UserInfo } from '../../proxy/access/user.ts';
import type { RequestInfo, Verb } from '../http/request-info.ts';

/** Largest assertion in characters: a third of what a request's headers may hold, and hundreds of groups. */
const largestAssertion = 32 * 1024;
/** All that the streaming proxy does for its callers. */
const delegable: ReadonlySet<Verb> = new Set<Verb>(['create', 'get', 'delete']);
const fields = new Set(['username', 'uid', 'groups', 'extra']);

/**
 * Lets an account that may `delegate` sessions act for a user whom kube-apiserver cannot be shown, because only that
 * account could check the user's credential. A request with an assertion runs as the asserted user entirely, beginning
 * with the user's own access review.
 *
 * Any user may be asserted, `system:masters` too: a cluster admin's certificate has that group, and its owner must be
 * able to use the proxy. What `delegate` is worth is bounded by where an assertion counts and not by whom it names: to
 * create, get and delete sessions of the namespaces in which the account may delegate. It opens nothing else, since this
 * server takes it for nothing else and shows it to no other one; whoever holds it could at most be every user of those
 * sessions, and needs watching like whoever may impersonate.
 */
export class Delegation {
  readonly #authorizer: Pick<Authorizer, 'authorize'>;
  readonly #log: Log;

  constructor({ authorizer, log }: { authorizer: Pick<Authorizer, 'authorize'>; log: Log }) {
    this.#authorizer = authorizer;
    this.#log = log;
  }

  /**
   * Who a request runs as: the asserted user if there is an assertion, the authenticated one otherwise.
   * @throws ApiError BadRequest for a bad assertion, or one where none counts; Forbidden for who may not delegate.
   */
  async resolve(authenticated: UserInfo, info: RequestInfo, rawHeaders: readonly string[]): Promise<UserInfo> {
    const value = assertionOf(rawHeaders);
    if (value === undefined) return authenticated;
    if (info.kind !== 'resource' || !isDelegable(info)) {
      throw badRequest('is taken to create, get and delete a session and for nothing else; leave it out');
    }
    const { namespace } = info;
    await this.#authorizer.authorize(authenticated, {
      ...{ verb: 'delegate', group, version, resource },
      ...(namespace === undefined ? {} : { namespace }),
    });
    const asserted = parseAssertion(value);
    // kube-apiserver's audit knows only the account that delegates; its id finds this line.
    this.#log.info('acting for an asserted user', {
      ...{ user: asserted.username, by: authenticated.username, verb: info.verb, namespace, name: info.name },
      auditId: auditIdOf(rawHeaders),
    });
    return asserted;
  }
}

/** The id under which kube-apiserver audits the request that it passed on (k8s.io/apiserver/pkg/apis/audit, HeaderAuditID). */
function auditIdOf(rawHeaders: readonly string[]): string | undefined {
  const at = rawHeaders.findIndex((name, index) => index % 2 === 0 && name.toLowerCase() === 'audit-id');
  return at === -1 ? undefined : rawHeaders[at + 1];
}

function isDelegable({ verb, namespace, subresource }: RequestInfo & { kind: 'resource' }): boolean {
  return delegable.has(verb) && namespace !== undefined && subresource === undefined;
}

function assertionOf(rawHeaders: readonly string[]): string | undefined {
  let found: string | undefined;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    if (rawHeaders[i]?.toLowerCase() !== onBehalfOfHeader) continue;
    if (found !== undefined) throw badRequest('must be there once; nobody could say which of several users is meant');
    found = rawHeaders[i + 1] ?? '';
  }
  return found;
}

/** Reads authentication.k8s.io/v1 UserInfo, of which every field is known and of its type. */
function parseAssertion(text: string): UserInfo {
  if (text.length > largestAssertion) throw badRequest(`must have at most ${largestAssertion} characters`);
  // Latin1 and UTF-8 readers would see different names in other bytes.
  if (!/^[\x20-\x7e]*$/.test(text)) throw badRequest('must be ASCII; write other characters as \\u escapes');
  const parsed = parseJson(text);
  if (!isRecord(parsed)) throw badRequest('must be a JSON object');
  for (const field of Object.keys(parsed)) {
    if (!fields.has(field)) throw badRequest('has an unknown field; it may have username, uid, groups and extra');
  }
  const { username, uid, groups, extra } = parsed;
  if (!isText(username) || username === '') throw badRequest('needs a username that is a string');
  if (uid !== undefined && !isText(uid)) throw badRequest('may have a uid that is a string');
  if (!isTexts(groups)) throw badRequest('needs groups that are an array of strings');
  if (extra !== undefined && !isExtra(extra)) throw badRequest('may have extra that maps names to arrays of strings');
  return {
    username,
    groups: withStanding(username, groups),
    ...(uid === undefined || uid === '' ? {} : { uid }),
    ...(extra === undefined ? {} : { extra }),
  };
}

/** Everybody but the anonymous is authenticated, as in k8s.io/apiserver's impersonation (endpoints/filters/impersonation). */
function withStanding(username: string, groups: readonly string[]): string[] {
  const standing = ['system:authenticated', 'system:unauthenticated'];
  if (username === 'system:anonymous' || standing.some((name) => groups.includes(name))) return [...groups];
  return [...groups, 'system:authenticated'];
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    if (error instanceof SyntaxError) throw badRequest('must be JSON');
    throw error;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isText(value: unknown): value is string {
  // Control characters are in no user's name, and would be in logs.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly these are refused
  return typeof value === 'string' && value.isWellFormed() && !/[\u0000-\u001f\u007f]/.test(value);
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every(isText);
}

function isExtra(value: unknown): value is Record<string, string[]> {
  return isRecord(value) && Object.entries(value).every(([name, values]) => isText(name) && isTexts(values));
}

function badRequest(what: string): ApiError {
  return new ApiError('BadRequest', `header ${onBehalfOfHeader} ${what}`);
}
