import { ApiError } from '../apis/machinery/errors.ts';
import { dnsLabelProblems } from '../apis/machinery/names.ts';
import { objectMethods, objectVerbOf } from '../apis/machinery/verbs.ts';
import { group, groupVersion, resource } from '../apis/names.ts';

/** A request line that names a session and what to ask it. */
export interface InvocationRoute {
  namespace: string;
  name: string;
  /** Raw rest of the request line after `/proxy`, query included. */
  target: string;
}

const prefix = `/apis/${groupVersion}/namespaces/`;
/** Ends of a path segment, a raw path or a whole request line. */
const segmentEnd = /[/?]/;

/**
 * Parses `/apis/sojourn.dev/v1alpha1/namespaces/NS/sessions/NAME/proxy[/...]`, the path that the same session has behind
 * kube-apiserver. By hand, once, for authorisation and routing alike: URL parsers resolve `..` and take `//host` for
 * another server, and whoever parses twice can be made to understand two things.
 * @throws ApiError NotFound for every other path, BadRequest for names that are not written plainly.
 */
export function parseRoute(requestLine: string): InvocationRoute {
  if (!requestLine.startsWith(prefix)) throw noSuchPath();
  const namespace = segment(requestLine, prefix.length);
  const sessions = literal(requestLine, namespace.end, `/${resource}/`);
  const name = segment(requestLine, sessions);
  const rest = literal(requestLine, name.end, '/proxy');
  if (rest < requestLine.length && !segmentEnd.test(requestLine[rest] ?? '')) throw noSuchPath();
  return {
    namespace: plainName('namespace', namespace.text),
    name: plainName('session', name.text),
    target: requestLine.slice(rest),
  };
}

/** Upgrades open a two-way stream, a shell for instance: whatever their method, they need more than a right to read. */
export const upgradeVerb = 'create';

/** @throws ApiError MethodNotAllowed for a method that no verb stands for. */
export function verbOf(method: string): string {
  const verb = objectVerbOf(method);
  if (verb !== undefined) return verb;
  const message = `${method} is not supported on resources of kind "${resource}/proxy.${group}"`;
  throw new ApiError('MethodNotAllowed', `${message}; use ${objectMethods.join(', ')}`);
}

function segment(text: string, start: number): { text: string; end: number } {
  const length = text.slice(start).search(segmentEnd);
  const end = length === -1 ? text.length : start + length;
  return { text: text.slice(start, end), end };
}

function literal(text: string, start: number, expected: string): number {
  if (!text.startsWith(expected, start)) throw noSuchPath();
  return start + expected.length;
}

/**
 * A name as it is: percent-encoded, dotted or empty ones could mean another path to somebody else.
 * @throws ApiError BadRequest.
 */
export function plainName(what: string, text: string): string {
  if (dnsLabelProblems(text).length === 0) return text;
  throw new ApiError(
    'BadRequest',
    `the path has no valid ${what} name; write it plainly, in lower case letters, digits and "-", without encoding`,
  );
}

/** The 404 of a path that is none of ours, as kube-apiserver words it. */
export function noSuchPath(): ApiError {
  return new ApiError('NotFound', 'the server could not find the requested resource');
}
