import { checkSchema, type Schema } from '../machinery/schema.ts';
import { parseTime } from '../machinery/time.ts';
import { annotations } from '../names.ts';
import { parseDuration } from './duration.ts';
import type { Sandbox } from './sandbox.ts';
import { type CompleteSessionSpec, type SessionDocument, sessionDocument } from './types.ts';

/** Everything of a Session that is not a field of its Sandbox must fit this many bytes. */
export const documentLimitBytes = 16 * 1024;

/** A stored document, or why it cannot be read. */
export type DocumentResult = { document: SessionDocument } | { problem: string };

/** Writes a document as the annotation holds it. */
export function serializeDocument(document: SessionDocument): string {
  return JSON.stringify(document);
}

/** Reads the session document of a Sandbox. Never throws, whatever somebody wrote there. */
export function readDocument(sandbox: Sandbox): DocumentResult {
  const text: unknown = sandbox.metadata.annotations?.[annotations.session];
  if (typeof text !== 'string') return { problem: `the annotation ${annotations.session} is missing` };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return { problem: `the annotation ${annotations.session} is not JSON` };
  }
  const { causes, pruned } = checkSchema(value, sessionDocument as Schema, '');
  const first = causes[0];
  if (first !== undefined) return { problem: `${first.field === '' ? 'the document' : first.field}: ${first.message}` };
  const document = pruned as SessionDocument;
  const problem = missingDefault(document.spec) ?? unreadableTime(document);
  return problem === undefined ? { document } : { problem };
}

function missingDefault(spec: Partial<CompleteSessionSpec>): string | undefined {
  for (const field of ['idleTimeout', 'maxDuration', 'idleAction', 'suspended'] as const) {
    if (spec[field] === undefined) return `spec.${field}: Required value`;
  }
  return undefined;
}

function unreadableTime({ creationTimestamp, spec, runtime }: SessionDocument): string | undefined {
  if (parseTime(creationTimestamp) === undefined) return 'creationTimestamp: Invalid value: must be an RFC 3339 time';
  try {
    for (const text of [spec.idleTimeout, spec.maxDuration, runtime.limits.idleTimeout, runtime.limits.maxDuration]) {
      parseDuration(text);
    }
    return undefined;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return error.message;
  }
}
