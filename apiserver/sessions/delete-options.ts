import { ApiError } from '../../apis/machinery/errors.ts';
import type { StatusCause } from '../../apis/machinery/meta.ts';
import { checkSchema, type Schema } from '../../apis/machinery/schema.ts';
import type { DryRun } from './write-options.ts';

export interface DeleteOptions {
  preconditions: { uid?: string; resourceVersion?: string };
  dryRun: DryRun;
}

const schema: Schema = {
  type: 'object',
  properties: {
    apiVersion: { type: 'string' },
    kind: { type: 'string' },
    gracePeriodSeconds: { type: 'integer' },
    propagationPolicy: { type: 'string', enum: ['Background', 'Foreground', 'Orphan'] },
    orphanDependents: { type: 'boolean' },
    preconditions: { type: 'object', properties: { uid: { type: 'string' }, resourceVersion: { type: 'string' } } },
    dryRun: { type: 'array', items: { type: 'string', enum: ['All'] } },
  },
};

interface Body {
  propagationPolicy?: string;
  orphanDependents?: boolean;
  preconditions?: { uid?: string; resourceVersion?: string };
  dryRun?: string[];
}

/**
 * Reads DeleteOptions from a body or, without one, from the query.
 * @throws ApiError BadRequest, or Invalid with every cause.
 */
export function readDeleteOptions(body: Buffer, query: URLSearchParams): DeleteOptions {
  const { causes, pruned } = checkSchema(body.length === 0 ? fromQuery(query) : parse(body), schema, '');
  const options = pruned as Body;
  // Foreground and Orphan need finalizers that their holder can remove, so they come with updates of sessions.
  if (
    causes.length === 0 &&
    (options.orphanDependents === true || (options.propagationPolicy ?? 'Background') !== 'Background')
  ) {
    const message = `Unsupported value: ${JSON.stringify(options.propagationPolicy ?? 'Orphan')}: supported values: "Background"`;
    causes.push({ reason: 'FieldValueNotSupported', message, field: 'propagationPolicy' });
  }
  if (causes.length > 0) throw invalidDeleteOptions(causes);
  return {
    preconditions: options.preconditions ?? {},
    dryRun: options.dryRun?.includes('All') === true ? 'All' : undefined,
  };
}

function fromQuery(query: URLSearchParams): Record<string, unknown> {
  const policy = query.get('propagationPolicy');
  const dryRun = query.getAll('dryRun');
  return { ...(policy === null ? {} : { propagationPolicy: policy }), ...(dryRun.length === 0 ? {} : { dryRun }) };
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new ApiError('BadRequest', `DeleteOptions cannot be decoded: ${error.message}`);
  }
}

function invalidDeleteOptions(causes: readonly StatusCause[]): ApiError {
  const text = causes.map(({ field, message }) => `${field}: ${message}`).join(', ');
  return new ApiError('Invalid', `DeleteOptions.meta.k8s.io "" is invalid: ${text}`, {
    details: { group: 'meta.k8s.io', kind: 'DeleteOptions', causes: [...causes] },
  });
}
