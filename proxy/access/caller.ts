import type { UserInfo } from './user.ts';

/**
 * How the proxy may act for a caller at kube-apiserver: with the bearer token that the caller showed and that is valid
 * there too, or, for other identities, by asserting who they are with an account of its own.
 */
export type Credential = { kind: 'token'; token: string } | { kind: 'asserted' };

/** Who a request comes from, and what proves it at kube-apiserver. Never logged: a credential is a secret. */
export interface Caller {
  user: UserInfo;
  credential: Credential;
}

/**
 * Header in which an account that may `delegate` sessions names the user it acts for: JSON of
 * authentication.k8s.io/v1 UserInfo, in ASCII.
 */
export const onBehalfOfHeader = 'sojourn-on-behalf-of';

/** Value of {@link onBehalfOfHeader} for a user. */
export function onBehalfOf({ username, uid, groups, extra }: UserInfo): string {
  // Header values are bytes (RFC 9110 §5.5); names of users are any text.
  return JSON.stringify({ username, uid, groups, extra }).replace(
    /[\u007f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
