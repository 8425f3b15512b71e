import type { X509Certificate } from 'node:crypto';
import { ApiError } from '../../apis/machinery/errors.ts';
import { bearerToken, type TokenAuthenticator, unauthorized } from './authenticate.ts';
import type { Caller } from './caller.ts';
import { certificateUser } from './certificate-user.ts';
import type { ClientAuthorities } from './client-authorities.ts';
import { ConnectionCertificates } from './client-certificate.ts';
import { addressOf, connectionOf, type IncomingIdentity } from './connection.ts';

/** One array, because verdicts hold for the array they were made with. */
const unknown: readonly X509Certificate[] = [];

export interface CallerAuthenticatorOptions {
  authorities: Pick<ClientAuthorities, 'current'>;
  tokens: Pick<TokenAuthenticator, 'authenticate'>;
  /** Milliseconds since the epoch. */
  now: () => number;
}

/**
 * Who calls, in kube-apiserver's order (pkg/kubeapiserver/authenticator/config.go): by client certificate, then by token.
 * A certificate that does not count is no obstacle to a token that does. Headers introduce nobody here.
 */
export class CallerAuthenticator {
  readonly #options: CallerAuthenticatorOptions;
  readonly #certificates: ConnectionCertificates;
  readonly #callers = new WeakMap<X509Certificate, Caller>();

  constructor(options: CallerAuthenticatorOptions) {
    this.#options = options;
    this.#certificates = new ConnectionCertificates(options.now);
  }

  /** @throws ApiError Unauthorized; ServiceUnavailable or InternalError when nobody could be asked. */
  async authenticate(request: IncomingIdentity): Promise<Caller> {
    const { authorities, tokens } = this.#options;
    const certificate = this.#certificates.verified(request, authorities.current ?? unknown);
    const caller = certificate === undefined ? undefined : this.#callerOf(certificate);
    if (caller !== undefined) return caller;
    const token = bearerToken(request.rawHeaders);
    if (token !== undefined) return await tokens.authenticate(token, addressOf(request));
    if (authorities.current === undefined && hasCertificate(request)) {
      const message = 'the CA of client certificates is not known yet; try again';
      throw new ApiError('ServiceUnavailable', message, { retryAfterSeconds: 1 });
    }
    throw unauthorized();
  }

  /** One object for each certificate, so that whatever is remembered of the caller can be found by it. */
  #callerOf(certificate: X509Certificate): Caller | undefined {
    const known = this.#callers.get(certificate);
    if (known !== undefined) return known;
    const user = certificateUser(certificate);
    if (user === undefined) return undefined;
    const caller: Caller = { user, credential: { kind: 'asserted' } };
    this.#callers.set(certificate, caller);
    return caller;
  }
}

function hasCertificate(request: IncomingIdentity): boolean {
  return connectionOf(request)?.socket.getPeerX509Certificate() !== undefined;
}
