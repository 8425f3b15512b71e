import { Buffer } from 'node:buffer';
import { ApiError } from '../../apis/machinery/errors.ts';

/** PATH_MAX and NAME_MAX of Linux (limits.h), in bytes. */
const maxPathBytes = 4096;
const maxNameBytes = 255;

/** The answer to every path that would leave the workspace, by whatever trick. */
export function outsideWorkspace(): ApiError {
  return new ApiError(
    'PathOutsideWorkspace',
    'access denied: the path leads outside the workspace; use a path inside it',
  );
}

/**
 * The names on the way from the workspace to a path that a user wrote, none of them empty, `.` or `..`. As PicoD does,
 * an absolute path counts from the workspace and `a/../b` means `b` whether or not `a` exists. A backslash is an
 * ordinary character of a name, as it is to the kernel.
 * @throws ApiError PathOutsideWorkspace when `..` climbs out, BadRequest when no file could have such a name.
 */
export function namesOf(path: string): string[] {
  if (path.includes('\0')) throw new ApiError('BadRequest', 'the path contains a NUL byte; no file can have that name');
  if (Buffer.byteLength(path) > maxPathBytes) {
    throw new ApiError('BadRequest', `the path is longer than ${maxPathBytes} bytes; use a shorter one`);
  }
  const names: string[] = [];
  for (const name of path.split('/')) {
    if (name === '' || name === '.') continue;
    if (name !== '..') names.push(checkedName(name));
    else if (names.pop() === undefined) throw outsideWorkspace();
  }
  return names;
}

function checkedName(name: string): string {
  if (Buffer.byteLength(name) <= maxNameBytes) return name;
  throw new ApiError('BadRequest', `a name in the path is longer than ${maxNameBytes} bytes; use a shorter one`);
}

/**
 * What follows `prefix` in the path of a request target, percent-decoded exactly once. It is cut from the raw target
 * by hand, because routers decode, normalise or fail to decode, each in its own way, and a second decoding would turn
 * `%252e%252e` into `..`. `%2F` means `/`: kube-apiserver decodes it on the way, so both must mean the same.
 * @throws ApiError BadRequest when the target has another prefix or does not decode to UTF-8.
 */
export function pathOfTarget(target: string, prefix: string): string {
  const end = target.search(/[?#]/);
  const raw = end === -1 ? target : target.slice(0, end);
  if (!raw.startsWith(prefix)) throw new ApiError('BadRequest', `the request path must begin with ${prefix}`);
  try {
    return decodeURIComponent(raw.slice(prefix.length));
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
    throw new ApiError('BadRequest', 'the path is not percent-encoded UTF-8; encode it as RFC 3986 says', {
      cause: error,
    });
  }
}
