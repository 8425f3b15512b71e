import { ApiError } from '../../apis/machinery/errors.ts';

/** In which shape objects are sent. */
export type Shape = 'object' | 'table' | 'partial' | 'partialList';

export type MediaType = 'application/json' | 'application/yaml';

export interface Representation {
  shape: Shape;
  /** Version of meta.k8s.io for tables and partial objects. */
  metaVersion: 'v1' | 'v1beta1';
  mediaType: MediaType;
  /** Whether JSON is indented because the Accept header asks for that. */
  pretty: boolean;
}

/** What is being represented. */
export type Target = 'single' | 'list';

/** As custom resources list them; the last one they, too, serve for some kinds only and refuse for all others. */
const mediaTypes = ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf'] as const;
const streamTypes = ['application/json;stream=watch', 'application/vnd.kubernetes.protobuf;stream=watch'] as const;

/** Kinds of meta.k8s.io that everything can be asked for as; whoever represents it refuses the one that does not fit. */
const shapes: Record<string, Shape> = {
  Table: 'table',
  PartialObjectMetadata: 'partial',
  PartialObjectMetadataList: 'partialList',
};

/**
 * Chooses the representation an Accept header asks for (k8s.io/apiserver/pkg/endpoints/handlers/negotiation): the first
 * acceptable clause by quality.
 * @throws ApiError NotAcceptable.
 */
export function negotiate(accept: string | undefined, target: Target): Representation {
  const chosen = choose(accept, target);
  if (chosen !== undefined) return chosen;
  throw notAcceptable(mediaTypes);
}

/**
 * Refuses a representation that cannot be a stream: YAML has no form for one.
 * @throws ApiError NotAcceptable.
 */
export function requireStream({ mediaType }: Representation): void {
  if (mediaType !== 'application/json') throw notAcceptable(streamTypes);
}

function notAcceptable(served: readonly string[]): ApiError {
  return new ApiError('NotAcceptable', `only the following media types are accepted: ${served.join(', ')}`);
}

/** How an error is written for a client: a Status has one shape, and clauses that ask for another are passed over. */
export function negotiateStatus(accept: string | undefined): Pick<Representation, 'mediaType' | 'pretty'> | undefined {
  return choose(accept, undefined);
}

function choose(accept: string | undefined, target: Target | undefined): Representation | undefined {
  if (accept === undefined || accept === '') return { ...plain, mediaType: 'application/json', pretty: false };
  for (const { type, parameters } of parseAccept(accept)) {
    for (const mediaType of ['application/json', 'application/yaml'] as const) {
      if (type !== mediaType && type !== 'application/*' && type !== '*/*') continue;
      const chosen = transform(parameters, mediaType, target);
      if (chosen !== undefined) return { ...chosen, mediaType, pretty: parameters.get('pretty') === '1' };
    }
  }
  return undefined;
}

const plain = { shape: 'object', metaVersion: 'v1' } as const;

/** What the parameters of a clause ask for; undefined when that cannot be had. */
function transform(
  parameters: ReadonlyMap<string, string>,
  mediaType: MediaType,
  target: Target | undefined,
): Pick<Representation, 'shape' | 'metaVersion'> | undefined {
  const stream = parameters.get('stream') ?? '';
  if (stream !== '' && (stream !== 'watch' || mediaType !== 'application/json')) return undefined;
  const served = parameters.get('sv') ?? '';
  if (served !== '' && (served !== 'v1' || target === undefined)) return undefined;
  if (!['as', 'g', 'v'].some((name) => parameters.has(name))) return plain;
  if (target === undefined || parameters.get('g') !== 'meta.k8s.io') return undefined;
  const as = parameters.get('as') ?? '';
  const shape = Object.hasOwn(shapes, as) ? shapes[as] : undefined;
  const metaVersion = parameters.get('v');
  if (shape === undefined || (metaVersion !== 'v1' && metaVersion !== 'v1beta1')) return undefined;
  return { shape, metaVersion };
}

interface AcceptClause {
  type: string;
  quality: number;
  parameters: Map<string, string>;
}

/** The clauses of an Accept header, best first, as github.com/munnerz/goautoneg reads them. */
export function parseAccept(header: string): AcceptClause[] {
  const clauses: AcceptClause[] = [];
  for (const text of header.split(',')) {
    const [type = '', ...rest] = text.split(';').map((part) => part.trim());
    const words = type === '*' ? ['*', '*'] : type.split('/').map((word) => word.trim());
    if (words.length !== 2 || words[1] === '') continue;
    const parameters = new Map<string, string>();
    for (const parameter of rest) {
      const [name = '', value = '', ...more] = parameter.split('=');
      if (value !== '' && more.length === 0) parameters.set(name.trim(), value.trim());
    }
    const quality = Number(parameters.get('q') ?? '1');
    parameters.delete('q');
    clauses.push({ type: words.join('/'), quality: Number.isNaN(quality) ? 0 : quality, parameters });
  }
  return clauses.sort((a, b) => b.quality - a.quality || wildcards(a) - wildcards(b));
}

function wildcards({ type }: AcceptClause): number {
  return type.split('/').filter((word) => word === '*').length;
}

/**
 * The format of a request body; JSON when it does not say.
 * @throws ApiError UnsupportedMediaType.
 */
export function bodyFormat(contentType: string | undefined): MediaType {
  if (contentType === undefined || contentType === '') return 'application/json';
  // A malformed parameter makes the whole type malformed (mime.ParseMediaType).
  const parsed =
    /^\s*([!#$%&'*+.^_`|~0-9A-Za-z/-]+)\s*(?:;\s*[!#$%&'*+.^_`|~0-9A-Za-z-]+\s*=\s*(?:"[^"]*"|[^\s;"=]+)\s*)*;?\s*$/.exec(
      contentType,
    );
  const type = parsed?.[1]?.toLowerCase();
  if (type === 'application/json' || type === 'application/yaml') return type;
  throw unsupported(mediaTypes);
}

/** The 415 that lists what is served. */
export function unsupported(served: readonly string[]): ApiError {
  const message = `the body of the request was in an unknown format - accepted media types include: ${served.join(', ')}`;
  return new ApiError('UnsupportedMediaType', message);
}

/** Whether an answer's JSON is indented for people (negotiate.go, isPrettyPrint). */
export function isPretty(
  { headers, query }: { headers: NodeJS.Dict<string | string[]>; query: URLSearchParams },
  representation: Pick<Representation, 'pretty'>,
): boolean {
  if (representation.pretty) return true;
  const asked = query.get('pretty') ?? '';
  if (asked !== '') return ['1', 't', 'T', 'true', 'TRUE', 'True'].includes(asked);
  return /^(?:curl|Wget|Mozilla\/5\.0)/.test(String(headers['user-agent'] ?? ''));
}
