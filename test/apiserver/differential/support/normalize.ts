import { parse } from 'yaml';
import { kind } from '../../../../apis/names.ts';
import type { Side } from './side.ts';
import type { WireAnswer } from './wire.ts';

/** Headers in which two answers must agree. */
const comparedHeaders = [
  'content-type',
  'content-encoding',
  'vary',
  'warning',
  'retry-after',
  'allow',
  'accept-patch',
  'x-content-type-options',
] as const;

const uidText = /\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/;
const isUid = new RegExp(`^${uidText.source}$`);
const timeText = /\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/;
/** Times further from now than this were sent by the case itself. */
const nowMs = 60 * 60_000;

export interface NormalizeOptions {
  /** Who owns which field. */
  managedFields: 'compare' | 'ignore';
}

/** An answer without what must differ: group, uids, versions, the present, generated names and status. */
export interface NormalAnswer {
  status: number;
  headers: Record<string, unknown>;
  body: unknown;
  /** Whether a JSON body is indented. */
  pretty: boolean;
}

/** Makes the answers of one side of one case comparable; what it has seen before it calls by the same name. */
export class Normalizer {
  readonly #side: Side;
  readonly #options: NormalizeOptions;
  readonly #uids = new Map<string, string>();
  readonly #versions = new Set<string>();
  readonly #names = new Map<string, string>();

  constructor(side: Side, options: NormalizeOptions) {
    this.#side = side;
    this.#options = options;
    if (side.given !== undefined) this.#learn(side.given);
  }

  answer({ status, headers, text }: WireAnswer): NormalAnswer {
    const type = String(headers['content-type'] ?? '');
    const shown = Object.fromEntries(
      comparedHeaders.flatMap((name) => (headers[name] === undefined ? [] : [[name, this.#value(headers[name])]])),
    );
    return { status, headers: shown, body: this.#body(text, type), pretty: /^\{\n/.test(text) };
  }

  #body(text: string, type: string): unknown {
    if (type.startsWith('application/yaml')) return this.#yaml(text);
    const documents = jsonDocuments(text);
    if (documents === undefined) return this.#text(text);
    for (const document of documents) this.#learn(document);
    const values = documents.map((document) => this.#value(document));
    return values.length === 1 ? values[0] : values;
  }

  #yaml(text: string): unknown {
    const document: unknown = parse(text, { version: '1.1', schema: 'core' });
    this.#learn(document);
    return this.#value(document);
  }

  #value(value: unknown): unknown {
    if (typeof value === 'string') return this.#text(value);
    if (Array.isArray(value)) return byManager(value).map((item) => this.#value(item));
    if (typeof value !== 'object' || value === null) return value;
    const members = Object.entries(withoutOrder(value as Record<string, unknown>)).filter(
      ([name]) => !this.#hidden(value, name),
    );
    return Object.fromEntries(members.map(([name, member]) => [this.#text(name), this.#value(member)]));
  }

  #hidden(holder: object, name: string): boolean {
    if (name === 'status') return (holder as { kind?: unknown }).kind === kind;
    return name === 'managedFields' && this.#options.managedFields === 'ignore';
  }

  #text(text: string): string {
    // The beginning of the body is cut after so many bytes, be the group long or short.
    let shown = text.replace(/^(the object provided is unrecognized .*) \((?:[0-9a-f]{60}|\{.*) \.\.\.\)$/s, '$1 (…)');
    // What was sent or stored, with members in whatever order, and a status on one side only.
    shown = shown.replace(/(patch: )?Invalid value: "\{\\?"apiVersion.*\}": /s, '$1Invalid value: "{…}": ');
    shown = shown.replace(/(Object 'Kind' is missing in ')(?:\{|apiVersion).*?('(?=[ :]|$))/s, '$1…$2');
    shown = shown.replaceAll(this.#side.group, 'GROUP');
    // Its generated end may be the digits of a version.
    shown = shown.replaceAll(this.#side.namespace, 'NAMESPACE');
    for (const [name, alias] of this.#names) shown = shown.replaceAll(name, alias);
    // A version may be the number of a year, or a part of a uid that somebody made up, so those come first.
    return shown.replace(new RegExp(`${uidText.source}|${timeText.source}|\\d+`, 'g'), (found) => {
      if (/^\d+$/.test(found)) return this.#versions.has(found) ? 'VERSION' : found;
      if (isUid.test(found)) return this.#uids.get(found) ?? found;
      return Math.abs(Date.parse(found) - Date.now()) < nowMs ? 'NOW' : found;
    });
  }

  /** Finds uids, versions and generated names, in the order of their appearance. */
  #learn(value: unknown): void {
    if (typeof value !== 'object' || value === null) return;
    for (const holder of metadataOf(value)) {
      const { uid, resourceVersion, name, generateName } = holder;
      if (typeof uid === 'string') this.#name(this.#uids, uid, 'UID');
      if (typeof resourceVersion === 'string' && /^\d{2,}$/.test(resourceVersion)) {
        this.#versions.add(resourceVersion);
      }
      if (
        typeof generateName === 'string' &&
        generateName !== '' &&
        typeof name === 'string' &&
        name.startsWith(generateName.slice(0, 58))
      ) {
        this.#name(this.#names, name, 'GENERATED');
      }
    }
  }

  #name(known: Map<string, string>, value: string, word: string): void {
    if (!known.has(value)) known.set(value, `${word}${known.size + 1}`);
  }
}

/** Go tells several causes in the order of its maps, which is any: they are compared as a set. */
function withoutOrder(value: Record<string, unknown>): Record<string, unknown> {
  const { kind: its, message, details } = value;
  const causes = (details as { causes?: { field?: string; message: string }[] } | undefined)?.causes;
  if (its !== 'Status' || typeof message !== 'string' || causes === undefined || causes.length < 2) return value;
  const text = ({ field, message: problem }: { field?: string; message: string }) => `${field}: ${problem}`;
  const sorted = causes.toSorted((a, b) => (text(a) < text(b) ? -1 : 1));
  const list = `[${[...new Set(causes.map(text))].join(', ')}]`;
  return {
    ...value,
    message: message.endsWith(list) ? `${message.slice(0, -list.length)}every cause` : message,
    details: { ...(details as object), causes: sorted },
  };
}

interface Identity {
  uid?: unknown;
  resourceVersion?: unknown;
  name?: unknown;
  generateName?: unknown;
}

/** Every metadata, and the details of a Status, in a document. */
function metadataOf(value: object): Identity[] {
  const found: Identity[] = [];
  const { metadata, details, items, rows, object } = value as Record<string, unknown>;
  for (const part of [metadata, details]) if (typeof part === 'object' && part !== null) found.push(part);
  for (const part of [items, rows, object].flat()) {
    if (typeof part === 'object' && part !== null) found.push(...metadataOf(part));
  }
  return found;
}

/** The JSON documents of a body: one, or one on each line; undefined when it is something else. */
function jsonDocuments(text: string): unknown[] | undefined {
  try {
    return [JSON.parse(text) as unknown];
  } catch {
    // Not one document, then.
  }
  try {
    const lines = text.split('\n').filter((line) => line !== '');
    return lines.length === 0 ? undefined : lines.map((line) => JSON.parse(line) as unknown);
  } catch {
    return undefined;
  }
}

/** Entries of managedFields are sorted by their times, which differ; so they are put in another order. */
function byManager(list: readonly unknown[]): readonly unknown[] {
  const key = (entry: unknown) => {
    const { fieldsV1, operation, manager } = (entry ?? {}) as Record<string, unknown>;
    return fieldsV1 === undefined ? undefined : `${String(operation)} ${String(manager)}`;
  };
  if (list.length === 0 || list.some((entry) => key(entry) === undefined)) return list;
  return [...list].sort((a, b) => (String(key(a)) < String(key(b)) ? -1 : 1));
}
