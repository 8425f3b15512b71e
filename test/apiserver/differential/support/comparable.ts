import { parse as parseYaml } from 'yaml';
import type { WireAnswer } from './wire.ts';

/** Columns that a Session and its twin both have, and that tell no time. */
const commonColumns = ['Name', 'Runtime', 'Phase', 'User'];

/** The columns of the last Table; only the first event of a watch tells them. */
export class Columns {
  names: string[] = [];
}

/** An answer without the versions of lists and bookmarks, tokens, the columns that only one side has, and the form of YAML. */
export function comparable(answer: WireAnswer, columns: Columns): WireAnswer {
  const type = String(answer.headers['content-type'] ?? '');
  if (type.startsWith('application/yaml')) {
    const value: unknown = parseYaml(answer.text);
    const headers = { ...answer.headers, 'content-type': `${type} as JSON` };
    return { ...answer, headers, text: JSON.stringify(shaped(value, columns)) };
  }
  const lines = answer.text.startsWith('{\n') ? [answer.text] : answer.text.split('\n').filter((line) => line !== '');
  const indent = answer.text.startsWith('{\n') ? 2 : undefined;
  const text = lines
    .filter((line) => !isPlainBookmark(line))
    .map((line) => (line.startsWith('{') ? JSON.stringify(shaped(JSON.parse(line), columns), null, indent) : line));
  return { ...answer, text: text.join('\n') };
}

/** A bookmark but for the marked one, which comes when it is time, and not because of what was asked. */
function isPlainBookmark(line: string): boolean {
  return line.startsWith('{"type":"BOOKMARK"') && !line.includes('initial-events-end');
}

interface Document {
  type?: string;
  kind?: string;
  metadata?: { resourceVersion?: string; continue?: string };
  object?: Document;
  items?: unknown;
  message?: string;
  columnDefinitions?: { name: string; type: string; format: string; priority: number }[] | null;
  rows?: { cells: unknown[] }[];
}

function shaped(value: unknown, columns: Columns): unknown {
  const document = value as Document;
  if (document.object !== undefined && document.type !== undefined) {
    const object = shaped(document.object, columns) as Document;
    return { ...document, object: document.type === 'BOOKMARK' ? withoutVersions(object) : object };
  }
  if (document.kind === 'Table') return shapedTable(document, columns);
  if (document.items !== undefined) return { ...document, metadata: withoutListVersion(document.metadata) };
  if (document.kind === 'Status')
    return { ...document, message: document.message?.replace(/(current: |version: 1 \()\d+/, '$1N') };
  return document;
}

function shapedTable(table: Document, columns: Columns): Document {
  const { columnDefinitions, rows = [] } = table;
  if (columnDefinitions) columns.names = columnDefinitions.map(({ name }) => name);
  const shown = commonColumns.map((name) => columns.names.indexOf(name));
  const isList = rows.length !== 1 || table.metadata?.continue !== undefined;
  return {
    ...table,
    metadata: isList ? withoutListVersion(table.metadata) : (table.metadata ?? {}),
    ...(columnDefinitions
      ? { columnDefinitions: shown.map((at) => columnDefinitions[at]).map((column) => withoutDescription(column)) }
      : {}),
    rows: rows.map((row) => ({ ...row, cells: shown.map((at) => row.cells[at]) })),
  } as Document;
}

function withoutDescription(column: object | undefined): object {
  return { ...column, description: '' };
}

function withoutListVersion(metadata: Document['metadata']): NonNullable<Document['metadata']> {
  return {
    ...metadata,
    ...(metadata?.resourceVersion === undefined ? {} : { resourceVersion: 'LIST' }),
    ...(metadata?.continue ? { continue: 'TOKEN' } : {}),
  };
}

function withoutVersions(bookmark: Document): unknown {
  return JSON.parse(JSON.stringify(bookmark).replace(/"resourceVersion":"\d+"/g, '"resourceVersion":"BOOKMARK"'));
}
