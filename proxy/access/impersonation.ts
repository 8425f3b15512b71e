import { ApiError } from '../../apis/machinery/errors.ts';

/** k8s.io/api/authentication/v1 types.go: kube-apiserver reads these and takes them off what it passes on. */
const names = new Set(['impersonate-user', 'impersonate-uid', 'impersonate-group']);
const extraPrefix = 'impersonate-extra-';

/**
 * Refuses a request that asks to be somebody else's. Impersonation is kube-apiserver's alone, which asks for the right to it
 * and audits it; whoever sends such a header here would else be served as themselves without being told.
 * @param rawHeaders pairs of name and value.
 * @throws ApiError BadRequest.
 */
export function refuseImpersonation(rawHeaders: readonly string[]): void {
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? '';
    // The first letter decides for nearly all headers of nearly all requests.
    if (name.charCodeAt(0) !== 0x69 && name.charCodeAt(0) !== 0x49) continue;
    const lower = name.toLowerCase();
    if (!names.has(lower) && !lower.startsWith(extraPrefix)) continue;
    throw new ApiError(
      'BadRequest',
      'Impersonate-* headers count at kube-apiserver only: send the request through it, or without them',
    );
  }
}
