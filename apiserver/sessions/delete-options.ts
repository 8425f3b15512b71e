import { clip, invalid } from '../../apis/machinery/errors.ts';
import type { StatusCause } from '../../apis/machinery/meta.ts';
import { readBoolean, readInt64 } from '../../apis/machinery/query-values.ts';
import type { ResourceRequest } from '../http/request-info.ts';
import { decodeDeleteOptions, type SentDeleteOptions } from './delete-options-body.ts';
import type { DryRun } from './write-options.ts';

/** What becomes of the dependents of what is deleted; the garbage collector sees to it. */
export type PropagationPolicy = 'Background' | 'Foreground' | 'Orphan';

/** What a delete asks for. A grace period means nothing for a custom resource, so there is none. */
export interface DeleteOptions {
  preconditions: { uid?: string; resourceVersion?: string };
  /** Undefined when nothing was said: then a finalizer of the collector that is there already decides. */
  policy: PropagationPolicy | undefined;
  dryRun: DryRun;
  /** What is not gone at once is answered 202 then, and 200 else (k8s.io/apiserver/pkg/endpoints/handlers/delete.go). */
  orphanDependents: boolean | undefined;
  /** Asked to delete what cannot be read from storage, and only that. */
  ignoreStoreReadError: boolean;
}

const policies: readonly string[] = ['Foreground', 'Background', 'Orphan'] satisfies PropagationPolicy[];
const unsafeField = 'ignoreStoreReadErrorWithClusterBreakingPotential';

/**
 * Reads DeleteOptions from a body or, without one, from the query, and validates them
 * (k8s.io/apimachinery/pkg/apis/meta/v1/validation, ValidateDeleteOptions).
 * @throws ApiError BadRequest, UnsupportedMediaType, or Invalid with every cause.
 */
export function readDeleteOptions(
  body: Buffer,
  contentType: string | undefined,
  { query, verb }: Pick<ResourceRequest, 'query' | 'verb'>,
): DeleteOptions {
  const sent = body.length === 0 ? fromQuery(query) : decodeDeleteOptions(body, contentType);
  const causes = [...policyCauses(sent), ...dryRunCauses(sent), ...unsafeCauses(sent)];
  const isUnsafe = sent[unsafeField] === true;
  if (causes.length === 0 && isUnsafe && verb === 'deletecollection') {
    causes.push(unsafeCause('is not allowed with DELETECOLLECTION, try again after removing the option'));
  }
  if (causes.length > 0) throw invalid('DeleteOptions', 'meta.k8s.io', '', causes);
  return {
    preconditions: sent.preconditions ?? {},
    policy: policyOf(sent),
    dryRun: (sent.dryRun ?? []).length > 0 ? 'All' : undefined,
    orphanDependents: sent.orphanDependents,
    ignoreStoreReadError: isUnsafe,
  };
}

function policyOf({ propagationPolicy, orphanDependents }: SentDeleteOptions): PropagationPolicy | undefined {
  if (orphanDependents !== undefined) return orphanDependents ? 'Orphan' : 'Background';
  return propagationPolicy as PropagationPolicy | undefined;
}

function policyCauses({ propagationPolicy: policy, orphanDependents }: SentDeleteOptions): StatusCause[] {
  if (policy === undefined) return [];
  const field = 'propagationPolicy';
  const value = JSON.stringify(clip(policy));
  const causes: StatusCause[] = [];
  if (orphanDependents !== undefined) {
    const message = `Invalid value: ${value}: orphanDependents and deletionPropagation cannot be both set`;
    causes.push({ reason: 'FieldValueInvalid', message, field });
  }
  if (!policies.includes(policy)) causes.push(notSupported(field, value, [...policies, 'nil']));
  return causes;
}

function dryRunCauses({ dryRun = [] }: SentDeleteOptions): StatusCause[] {
  return dryRun.every((value) => value === 'All')
    ? []
    : [notSupported('dryRun', clip(JSON.stringify(dryRun)), ['All'])];
}

function unsafeCauses(sent: SentDeleteOptions): StatusCause[] {
  if (sent[unsafeField] !== true) return [];
  const others = ['propagationPolicy', 'orphanDependents', 'gracePeriodSeconds', 'preconditions'] as const;
  return others
    .filter((name) => sent[name] !== undefined)
    .map((name) => unsafeCause(`cannot be set together with .${name}`));
}

function unsafeCause(problem: string): StatusCause {
  return { reason: 'FieldValueInvalid', message: `Invalid value: true: ${problem}`, field: unsafeField };
}

function notSupported(field: string, value: string, supported: readonly string[]): StatusCause {
  const list = supported.map((word) => `"${word}"`).join(', ');
  const message = `Unsupported value: ${value}: supported values: ${list}`;
  return { reason: 'FieldValueNotSupported', message, field };
}

/** The first value of each parameter counts (k8s.io/apimachinery/pkg/apis/meta/v1, Convert_url_Values_To_v1_DeleteOptions). */
function fromQuery(query: URLSearchParams): SentDeleteOptions {
  const sent: SentDeleteOptions = {};
  const grace = readInt64(query.get('gracePeriodSeconds'));
  if (grace !== undefined) sent.gracePeriodSeconds = Number(grace);
  if (query.has('orphanDependents')) sent.orphanDependents = readBoolean(query.get('orphanDependents'));
  if (query.has(unsafeField)) sent[unsafeField] = readBoolean(query.get(unsafeField));
  const policy = query.get('propagationPolicy');
  if (policy !== null) sent.propagationPolicy = policy;
  if (query.has('dryRun')) sent.dryRun = query.getAll('dryRun');
  const uid = query.get('uid') || undefined;
  const resourceVersion = query.get('resourceVersion') || undefined;
  if (uid !== undefined || resourceVersion !== undefined) {
    sent.preconditions = {
      ...(uid === undefined ? {} : { uid }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
    };
  }
  return sent;
}
