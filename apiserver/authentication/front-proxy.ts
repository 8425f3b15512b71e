import type { X509Certificate } from 'node:crypto';
import { TLSSocket } from 'node:tls';
import { ApiError } from '../../apis/machinery/errors.ts';
import type { UserInfo } from '../../proxy/access/user.ts';
import type { RequestHeaderConfig } from './request-header-config.ts';

/** Extended key usage clientAuth (RFC 5280 §4.2.1.12). */
const clientAuth = '1.3.6.1.5.5.7.3.2';
const longestChain = 4;

/** A request as both HTTP versions of Node present it; raw headers are pairs of name and value. */
export interface IncomingIdentity {
  socket: unknown;
  /** In HTTP/2 the connection is the session of the stream; its sockets are a new proxy object for every request. */
  stream?: { session?: object | undefined };
  rawHeaders: readonly string[];
}

/** How long a verdict about a connection holds: certificates expire, also on connections that stay open. */
const verdictMs = 60_000;

/**
 * The user a front proxy speaks for, by the rules of k8s.io/apiserver's requestheader authenticator: a client
 * certificate that chains to the front-proxy CA (never to another one), for client use, of an allowed common name.
 * Anything else is nobody: headers without that certificate mean nothing.
 */
export class FrontProxyAuthenticator {
  readonly #config: () => RequestHeaderConfig | undefined;
  /** Verdicts by connection; a changed configuration makes a new verdict. */
  readonly #verdicts = new WeakMap<object, { config: RequestHeaderConfig; trusted: boolean; at: number }>();

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
    if (!(request.socket instanceof TLSSocket)) throw unauthorized();
    const connection = request.stream?.session ?? request.socket;
    if (!this.#isTrusted(connection, request.socket, config)) throw unauthorized();
    const user = readUser(request.rawHeaders, config);
    if (user === undefined) throw unauthorized();
    return user;
  }

  #isTrusted(connection: object, socket: TLSSocket, config: RequestHeaderConfig): boolean {
    const known = this.#verdicts.get(connection);
    const now = Date.now();
    if (known !== undefined && known.config === config && now - known.at < verdictMs) return known.trusted;
    const certificate = socket.getPeerX509Certificate();
    const trusted = certificate !== undefined && isFrontProxy(certificate, config, now);
    this.#verdicts.set(connection, { config, trusted, at: now });
    return trusted;
  }
}

/** Whether a peer certificate belongs to an allowed front proxy. */
export function isFrontProxy(leaf: X509Certificate, config: RequestHeaderConfig, now: number): boolean {
  if (!leaf.keyUsage?.includes(clientAuth)) return false;
  if (!chainsTo(leaf, config.authorities, now)) return false;
  const names = leaf.subject.split('\n').flatMap((line) => (line.startsWith('CN=') ? [line.slice(3)] : []));
  // Two common names in one subject would make it a matter of taste which one is checked.
  if (names.length !== 1) return false;
  return config.allowedNames.length === 0 || config.allowedNames.includes(names[0] ?? '');
}

function chainsTo(leaf: X509Certificate, authorities: readonly X509Certificate[], now: number): boolean {
  let current: X509Certificate | undefined = leaf;
  for (let length = 0; current !== undefined && length < longestChain; length += 1) {
    if (!isCurrent(current, now)) return false;
    for (const authority of authorities) {
      if (
        authority.ca &&
        isCurrent(authority, now) &&
        current.checkIssued(authority) &&
        current.verify(authority.publicKey)
      ) {
        return true;
      }
    }
    const issuer: X509Certificate | undefined = current.issuerCertificate;
    if (issuer === undefined || !issuer.ca || !current.checkIssued(issuer) || !current.verify(issuer.publicKey))
      return false;
    current = issuer;
  }
  return false;
}

function isCurrent(certificate: X509Certificate, now: number): boolean {
  return Date.parse(certificate.validFrom) <= now && now <= Date.parse(certificate.validTo);
}

/** Reads the identity headers; raw ones, since Node joins repeated headers with commas, which groups may contain. */
function readUser(rawHeaders: readonly string[], config: RequestHeaderConfig): UserInfo | undefined {
  const usernames: string[] = [];
  const uids: string[] = [];
  const groups: string[] = [];
  const extra: Record<string, string[]> = Object.create(null) as Record<string, string[]>;
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] ?? '').toLowerCase();
    const raw = rawHeaders[index + 1] ?? '';
    if (config.usernameHeaders.includes(name)) usernames.push(decode(raw));
    else if (config.groupHeaders.includes(name)) groups.push(decode(raw));
    else if (config.uidHeaders.includes(name)) uids.push(decode(raw));
    else {
      const prefix = config.extraPrefixes.find((candidate) => name.startsWith(candidate));
      if (prefix === undefined) continue;
      const key = extraKey(name.slice(prefix.length));
      const values = extra[key] ?? [];
      values.push(decode(raw));
      extra[key] = values;
    }
  }
  const [username] = usernames;
  if (usernames.length !== 1 || uids.length > 1 || username === undefined || username === '') return undefined;
  if (!groups.includes('system:authenticated')) groups.push('system:authenticated');
  return { username, groups, ...(uids[0] === undefined ? {} : { uid: uids[0] }), extra };
}

/** Header bytes arrive as latin1; names of users are UTF-8. */
function decode(value: string): string {
  return Buffer.from(value, 'latin1').toString('utf8');
}

function extraKey(raw: string): string {
  try {
    return decodeURIComponent(raw);
  } catch (error) {
    if (error instanceof URIError) return raw;
    throw error;
  }
}

function unauthorized(): ApiError {
  return new ApiError('Unauthorized', 'Unauthorized');
}
