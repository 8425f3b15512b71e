import { ApiError, clip } from '../../apis/machinery/errors.ts';
import { exactMatch } from '../../apis/machinery/field-selector.ts';
import { readBoolean } from '../../apis/machinery/query-values.ts';
import { type ObjectVerb, objectVerbOf } from '../../apis/machinery/verbs.ts';
import { group, resource, version } from '../../apis/names.ts';
import { decodeListQuery } from '../sessions/list-query.ts';

export type Verb = ObjectVerb | 'list' | 'watch' | 'deletecollection';

/** A request for sessions; what is authorised and what is routed are both read from this one parse. */
export interface ResourceRequest {
  kind: 'resource';
  verb: Verb;
  /** Undefined for a request across namespaces. */
  namespace: string | undefined;
  name: string | undefined;
  subresource: string | undefined;
  /** Raw rest of the path after the subresource, with its leading slash; empty when there is none. */
  subpath: string;
  /** Raw query with its question mark; empty when there is none. */
  rawQuery: string;
  query: URLSearchParams;
}

/** Any other path that is served. */
export interface NonResourceRequest {
  kind: 'nonresource';
  path: string;
  query: URLSearchParams;
}

export type RequestInfo = ResourceRequest | NonResourceRequest;

const prefix = ['apis', group, version];
const collectionVerbs: Record<string, Verb> = {
  GET: 'list',
  HEAD: 'list',
  POST: 'create',
  DELETE: 'deletecollection',
  // Their handlers miss the name, as those of kube-apiserver do.
  PUT: 'update',
  PATCH: 'patch',
};

/**
 * Parses a request line by the rules of k8s.io/apiserver/pkg/endpoints/request/requestinfo.go. By hand, because
 * WHATWG URL parsing resolves `..` and moves `//host` into the authority.
 * @throws ApiError NotFound or BadRequest for a path that names nothing; MethodNotAllowed for an unknown method.
 */
export function parseRequest(method: string, target: string): RequestInfo {
  const question = target.indexOf('?');
  const rawPath = question === -1 ? target : target.slice(0, question);
  const rawQuery = question === -1 ? '' : target.slice(question);
  const query = new URLSearchParams(rawQuery);
  if (!rawPath.startsWith('/')) throw notFound();
  const raw = segmentsOf(rawPath);
  if (raw.length < 4 || prefix.some((word, index) => raw[index] !== word)) {
    return { kind: 'nonresource', path: rawPath, query };
  }
  const namespaced = raw[3] === 'namespaces';
  const namespace = namespaced ? decodeSegment(raw[4]) : undefined;
  const [type, name, subresource, ...rest] = raw.slice(namespaced ? 5 : 3);
  if (type !== resource) throw notFound();
  const decodedName = name === undefined ? undefined : decodeSegment(name);
  if (decodedName !== undefined && namespace === undefined) throw notFound();
  const decodedSubresource = subresource === undefined ? undefined : decodeSegment(subresource);
  if (rest.length > 0 && decodedSubresource !== 'proxy') throw notFound();
  const verb = verbOf(method, { named: decodedName !== undefined, query });
  return {
    kind: 'resource',
    verb,
    namespace,
    name: decodedName ?? namedByFieldSelector(verb, query),
    subresource: decodedSubresource,
    subpath: rest.length === 0 ? '' : `/${rest.join('/')}`,
    rawQuery,
    query,
  };
}

function verbOf(method: string, { named, query }: { named: boolean; query: URLSearchParams }): Verb {
  const collectionVerb = Object.hasOwn(collectionVerbs, method) ? collectionVerbs[method] : undefined;
  const verb: Verb | undefined = named ? objectVerbOf(method) : collectionVerb;
  if (verb === undefined) {
    throw new ApiError(
      'MethodNotAllowed',
      `${clip(method)} is not supported on resources of kind "${resource}.${group}"`,
    );
  }
  return verb === 'list' && isWatch(query) ? 'watch' : verb;
}

function isWatch(query: URLSearchParams): boolean {
  return readBoolean(query.get('watch'));
}

/**
 * RBAC's resourceNames also bind lists and watches of one name, so that name takes part in the review. Not so the deletion of a
 * collection: kube-apiserver looks for the name in reads only.
 */
function namedByFieldSelector(verb: Verb, query: URLSearchParams): string | undefined {
  if (verb !== 'list' && verb !== 'watch') return undefined;
  try {
    const name = exactMatch(decodeListQuery(query).fields, 'metadata.name');
    return name === undefined || ['', '.', '..'].includes(name) || /[/%]/.test(name) ? undefined : name;
  } catch (error) {
    // Whoever serves the request refuses them.
    if (error instanceof ApiError) return undefined;
    throw error;
  }
}

/** The segments of a path. Slashes at its end mean nothing, but in a subresource, where they are for the sandbox to read. */
function segmentsOf(rawPath: string): string[] {
  const raw = rawPath.slice(1).split('/');
  const end = raw.findLastIndex((segment) => segment !== '') + 1;
  const subresource = raw[prefix.length] === 'namespaces' ? prefix.length + 4 : prefix.length + 2;
  return end > subresource ? raw : raw.slice(0, end);
}

function decodeSegment(raw: string | undefined): string {
  let text: string;
  try {
    text = decodeURIComponent(raw ?? '');
  } catch (error) {
    if (error instanceof URIError)
      throw new ApiError('BadRequest', 'the path is not percent-encoded correctly', { cause: error });
    throw error;
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly these must not reach a lookup
  if (text === '' || text === '.' || text === '..' || /[/\\\u0000-\u001f\u007f]/.test(text)) throw notFound();
  return text;
}

function notFound(): ApiError {
  return new ApiError('NotFound', 'the server could not find the requested resource');
}
