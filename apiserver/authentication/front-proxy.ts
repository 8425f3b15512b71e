import type { X509Certificate } from 'node:crypto';
import { ApiError } from '../../apis/machinery/errors.ts';
import { unauthorized } from '../../proxy/access/authenticate.ts';
import { ConnectionCertificates, subjectValues } from '../../proxy/access/client-certificate.ts';
import type { IncomingIdentity } from '../../proxy/access/connection.ts';
import type { UserInfo } from '../../proxy/access/user.ts';
import type { RequestHeaderConfig } from './request-header-config.ts';

/**
 * The user a front proxy speaks for, by the rules of k8s.io/apiserver's requestheader authenticator: a client
 * certificate that chains to the front-proxy CA (never to another one), for client use, of an allowed common name.
 * Anything else is nobody: headers without that certificate mean nothing.
 */
export class FrontProxyAuthenticator {
  readonly #config: () => RequestHeaderConfig | undefined;
  readonly #certificates = new ConnectionCertificates(Date.now);
  readonly #names = new WeakMap<X509Certificate, string[]>();

  constructor(config: () => RequestHeaderConfig | undefined) {
    this.#config = config;
  }

  /** Whether the front-proxy settings are known, so that anybody can be authenticated at all. */
  get configured(): boolean {
    return this.#config() !== undefined;
  }

  /**
   * @returns the introduced user, always with group `system:authenticated`, because kube-apiserver's own discovery
   * requests carry no groups.
   * @throws ApiError Unauthorized; ServiceUnavailable until the front-proxy settings are known.
   */
  authenticate(request: IncomingIdentity): UserInfo {
    const config = this.#config();
    if (config === undefined) {
      throw new ApiError(
        'ServiceUnavailable',
        'the front-proxy settings of kube-apiserver are not known yet; try again',
        {
          retryAfterSeconds: 1,
        },
      );
    }
    const certificate = this.#certificates.verified(request, config.authorities);
    if (certificate === undefined || !this.#isAllowed(certificate, config)) throw unauthorized();
    const user = readUser(request.rawHeaders, config);
    if (user === undefined) throw unauthorized();
    return user;
  }

  #isAllowed(certificate: X509Certificate, { allowedNames }: RequestHeaderConfig): boolean {
    const names = this.#names.get(certificate) ?? subjectValues(certificate, 'CN');
    this.#names.set(certificate, names);
    // Two common names in one subject would make it a matter of taste which one is checked.
    if (names.length !== 1) return false;
    return allowedNames.length === 0 || allowedNames.includes(names[0] ?? '');
  }
}

/** Reads the identity headers; raw ones, since Node joins repeated headers with commas, which groups may contain. */
function readUser(rawHeaders: readonly string[], config: RequestHeaderConfig): UserInfo | undefined {
  const usernames: string[] = [];
  const uids: string[] = [];
  const groups: string[] = [];
  let isReadable = true;
  const extra: Record<string, string[]> = Object.create(null) as Record<string, string[]>;
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] ?? '').toLowerCase();
    const values = valuesFor(name, config, { usernames, groups, uids, extra });
    if (values === undefined) continue;
    const value = decode(rawHeaders[index + 1] ?? '');
    if (value === undefined) isReadable = false;
    else if (value !== '') values.push(value);
  }
  const [username] = usernames;
  if (!isReadable || usernames.length !== 1 || uids.length > 1 || username === undefined) return undefined;
  if (!groups.includes('system:authenticated')) groups.push('system:authenticated');
  return { username, groups, ...(uids[0] === undefined ? {} : { uid: uids[0] }), extra };
}

interface IdentityValues {
  usernames: string[];
  groups: string[];
  uids: string[];
  extra: Record<string, string[]>;
}

/** Where the value of a header belongs; undefined when it says nothing of who somebody is. */
function valuesFor(
  name: string,
  { usernameHeaders, groupHeaders, uidHeaders, extraPrefixes }: RequestHeaderConfig,
  { usernames, groups, uids, extra }: IdentityValues,
): string[] | undefined {
  if (usernameHeaders.includes(name)) return usernames;
  if (groupHeaders.includes(name)) return groups;
  if (uidHeaders.includes(name)) return uids;
  const prefix = extraPrefixes.find((candidate) => name.startsWith(candidate));
  if (prefix === undefined) return undefined;
  const key = extraKey(name.slice(prefix.length));
  extra[key] ??= [];
  return extra[key];
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Header bytes arrive as latin1; names of users are UTF-8. Undefined for what is none, and for control characters: two such
 * names could be read as the same one.
 */
function decode(value: string): string | undefined {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly these are refused
  if (/[\u0000-\u001f\u007f]/.test(value)) return undefined;
  if (/^[\x20-\x7e]*$/.test(value)) return value;
  try {
    return utf8.decode(Buffer.from(value, 'latin1'));
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}

function extraKey(raw: string): string {
  try {
    return decodeURIComponent(raw);
  } catch (error) {
    if (error instanceof URIError) return raw;
    throw error;
  }
}
