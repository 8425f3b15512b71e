import { SignJWT } from 'jose';
import { audienceOf, type SigningKey, type TokenSubject, tokenLifetimeSeconds } from './token.ts';

/** Environment of AgentCube's PicoD: the RSA public key it trusts, PKIX in PEM (its pkg/picod/auth.go). */
export const picodKeyEnv = 'PICOD_AUTH_PUBLIC_KEY';

/** AgentCube's Router calls itself so (its pkg/router/jwt.go). */
const issuer = 'agentcube-router';

/**
 * Signs a token as AgentCube's Router does, RS256 with `exp`, `iat`, `iss` and `session_id`. PicoD checks the signature and
 * the times alone; subject and user are there for programs of one's own.
 */
export async function signPicodToken(subject: TokenSubject, key: SigningKey, now: Date): Promise<string> {
  const issuedAt = Math.floor(now.getTime() / 1000);
  return await new SignJWT({
    session_id: subject.sessionUid,
    user: { name: subject.user.username, uid: subject.user.uid },
  })
    .setProtectedHeader({ alg: 'RS256', typ: 'JWT', kid: key.kid })
    .setIssuer(issuer)
    .setSubject(subject.sessionUid)
    .setAudience(audienceOf(subject))
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + tokenLifetimeSeconds)
    .sign(key.privateKey);
}
