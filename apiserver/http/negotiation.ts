import { ApiError } from '../../apis/machinery/errors.ts';

/** In which shape objects are sent. */
export type Shape = 'object' | 'table' | 'partial';

export interface Representation {
  shape: Shape;
  /** Version of meta.k8s.io for tables and partial objects. */
  metaVersion: 'v1' | 'v1beta1';
}

const served = 'application/json';
const refusal = `only the following media types are accepted: ${served}`;

/** Kinds of meta.k8s.io that one object, or a list, can be converted to. */
const shapes: Record<'single' | 'list', Record<string, Shape>> = {
  single: { Table: 'table', PartialObjectMetadata: 'partial' },
  list: { Table: 'table', PartialObjectMetadataList: 'partial' },
};

/**
 * Chooses the representation an Accept header asks for (k8s.io/apiserver/pkg/endpoints/handlers/negotiation): the first
 * acceptable clause by quality.
 * @throws ApiError NotAcceptable.
 */
export function negotiate(accept: string | undefined, target: 'single' | 'list'): Representation {
  for (const clause of parseAccept(accept ?? '*/*')) {
    if (!['application/json', 'application/*', '*/*'].includes(clause.type)) continue;
    const as = clause.parameters.get('as');
    if (as === undefined) return { shape: 'object', metaVersion: 'v1' };
    const shape = Object.hasOwn(shapes[target], as) ? shapes[target][as] : undefined;
    const metaVersion = clause.parameters.get('v');
    if (shape === undefined || clause.parameters.get('g') !== 'meta.k8s.io') continue;
    if (metaVersion === 'v1' || metaVersion === 'v1beta1') return { shape, metaVersion };
  }
  throw new ApiError('NotAcceptable', refusal);
}

interface AcceptClause {
  type: string;
  quality: number;
  parameters: Map<string, string>;
}

/** The clauses of an Accept header, best first (RFC 9110 §12.5.1). */
export function parseAccept(header: string): AcceptClause[] {
  const clauses: AcceptClause[] = [];
  for (const text of header.split(',')) {
    const [type = '', ...rest] = text.split(';').map((part) => part.trim());
    if (type === '') continue;
    const parameters = new Map<string, string>();
    for (const parameter of rest) {
      const equals = parameter.indexOf('=');
      if (equals > 0) parameters.set(parameter.slice(0, equals).trim(), parameter.slice(equals + 1).trim());
    }
    const quality = Number(parameters.get('q') ?? '1');
    if (quality > 0) clauses.push({ type: type.toLowerCase(), quality, parameters });
  }
  return clauses.sort((a, b) => b.quality - a.quality);
}

/**
 * Refuses a body that is not JSON.
 * @throws ApiError UnsupportedMediaType.
 */
export function requireJson(contentType: string | undefined): void {
  const type = (contentType ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  if (type === '' || type === served) return;
  throw new ApiError(
    'UnsupportedMediaType',
    `the body of the request was in an unknown format - accepted media types include: ${served}`,
  );
}
