import { ApiError } from '../../apis/machinery/errors.ts';

/** What a request line may carry, byte for byte (RFC 9112 §3.2: no white space; RFC 3986 has no control characters). */
const sendable = /^[\x21-\x7e\x80-\xff]*$/;

/**
 * The path and query that a sandbox gets, exactly as the client wrote them after `/proxy`: nothing is decoded, sorted or
 * resolved, because what `..` or `%2F` mean is the sandbox's to say.
 * @throws ApiError BadRequest when it is no path.
 */
export function sandboxPath(target: string): string {
  const path = target === '' || target.startsWith('?') ? `/${target}` : target;
  if (!path.startsWith('/')) {
    throw new ApiError('BadRequest', 'the path after /proxy must begin with a slash');
  }
  if (!sendable.test(path)) {
    throw new ApiError(
      'BadRequest',
      'the path contains spaces or control characters; percent-encode them (a space is %20)',
    );
  }
  return path;
}
