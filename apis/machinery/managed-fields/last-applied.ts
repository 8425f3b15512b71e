import { compareFields } from './compare.ts';
import { type FieldSchema, isMembers, type Members } from './field-schema.ts';
import { differenceOf, type FieldSet, unionOf } from './field-set.ts';
import { fieldsOf } from './fields-of.ts';
import { goJson } from './go-json.ts';
import { typeProblem } from './type-errors.ts';

/** Where kubectl's client-side apply keeps what was applied last. */
const lastAppliedAnnotation = 'kubectl.kubernetes.io/last-applied-configuration';

/**
 * Fields that client-side apply has set and that still have that value (managedfields/internal/lastappliedmanager.go);
 * undefined when there is no annotation that tells.
 */
export function agreedFields(
  live: Members,
  { schema, apiVersion }: { schema: FieldSchema; apiVersion: string },
): FieldSet | undefined {
  const text = annotationsOf(live)?.[lastAppliedAnnotation];
  if (typeof text !== 'string' || text === '') return undefined;
  const last = parse(text);
  if (!isMembers(last) || last.apiVersion !== apiVersion || typeProblem(last, schema) !== undefined) return undefined;
  const { modified, added, removed } = compareFields(last, live, schema);
  return differenceOf(fieldsOf(last, schema), unionOf(modified, unionOf(added, removed)));
}

/** An object whose annotation says what was applied now, if it has one (managedfields/internal/lastappliedupdater.go). */
export function withLastApplied(object: Members, config: Members): Members {
  const annotations = annotationsOf(object);
  const current = annotations?.[lastAppliedAnnotation];
  if (typeof current !== 'string' || current === '') return object;
  const own = annotationsOf(config);
  const { [lastAppliedAnnotation]: _, ...rest } = own ?? {};
  const metadata = isMembers(config.metadata) ? config.metadata : {};
  const applied = own === undefined ? config : { ...config, metadata: { ...metadata, annotations: rest } };
  const next = { ...annotations, [lastAppliedAnnotation]: `${goJson(applied)}\n` };
  return { ...object, metadata: { ...(object.metadata as Members), annotations: next } };
}

function annotationsOf({ metadata }: Members): Members | undefined {
  return isMembers(metadata) && isMembers(metadata.annotations) ? metadata.annotations : undefined;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
