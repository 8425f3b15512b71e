import type { ListMeta, ObjectMeta } from '../../apis/machinery/meta.ts';
import { humanDuration, parseTime } from '../../apis/machinery/time.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';

interface Column {
  name: string;
  type: 'string';
  format: '' | 'name';
  description: string;
  /** Above 0: shown by `-o wide` only. */
  priority: 0 | 1;
  cell: (session: Session, nowMs: number) => string;
}

const none = '<none>';

/** The columns of `kubectl get sessions`. */
const columns: readonly Column[] = [
  column('Name', 'Name of the session.', ({ metadata }) => metadata.name ?? ''),
  column('Runtime', 'Runtime the session is an instance of.', ({ spec }) => spec.runtimeRef?.name ?? none),
  column('Phase', 'Summary of the conditions.', ({ status }) => status?.phase ?? none),
  column('Idle', 'Time since the session was last seen in use.', idleTime),
  column('Expires', 'Time until the session ends if nothing moves that.', remainingTime),
  column('Age', 'Time since the session was created.', (session, now) =>
    since(session.metadata.creationTimestamp, now),
  ),
  wideColumn('User', 'Who created the session.', ({ status }) => status?.user?.username ?? none),
  wideColumn('Start', 'Warm or cold.', ({ status }) => status?.start ?? none),
  wideColumn('Node', 'Node the Pod runs on.', ({ status }) => status?.nodeName ?? none),
  wideColumn('Address', 'IP address of the Pod.', ({ status }) => status?.addresses?.[0] ?? none),
];

const columnDefinitions = columns.map(({ cell: _cell, ...definition }) => definition);

export type IncludeObject = 'None' | 'Metadata' | 'Object';

export interface TableOptions {
  metaVersion: 'v1' | 'v1beta1';
  includeObject: IncludeObject;
  /** Only the first event of a watch carries them; all others have null. */
  columnDefinitions: 'include' | 'omit';
  /** Milliseconds since the epoch; cells are the only place that may use a clock. */
  now: number;
}

/** Sessions as the Table that kubectl prints (KEP-555). */
export function sessionTable(sessions: readonly Session[], metadata: ListMeta, options: TableOptions): object {
  return {
    kind: 'Table',
    apiVersion: `meta.k8s.io/${options.metaVersion}`,
    metadata,
    columnDefinitions: options.columnDefinitions === 'include' ? columnDefinitions : null,
    rows: sessions.map((session) => sessionRow(session, options)),
  };
}

function sessionRow(session: Session, { includeObject, metaVersion, now }: TableOptions): object {
  const cells = columns.map(({ cell }) => cell(session, now));
  if (includeObject === 'None') return { cells, object: null };
  return { cells, object: includeObject === 'Object' ? session : partialObject(session.metadata, metaVersion) };
}

/** Only the metadata of an object, as metadata clients ask for it. */
export function partialObject(metadata: ObjectMeta, metaVersion: 'v1' | 'v1beta1'): object {
  return { kind: 'PartialObjectMetadata', apiVersion: `meta.k8s.io/${metaVersion}`, metadata };
}

/** A bookmark in table form: one row without cells of meaning, whose object carries the resourceVersion. */
export function bookmarkTable(bookmark: { metadata: ObjectMeta }, options: TableOptions): object {
  return {
    kind: 'Table',
    apiVersion: `meta.k8s.io/${options.metaVersion}`,
    metadata: { resourceVersion: bookmark.metadata.resourceVersion },
    columnDefinitions: options.columnDefinitions === 'include' ? columnDefinitions : null,
    rows: [{ cells: ['', ...columns.slice(1).map(() => null)], object: bookmarkObject(bookmark, options) }],
  };
}

/** The mark that initial events are over is sent to those who want no objects, too. */
function bookmarkObject(
  bookmark: { metadata: ObjectMeta },
  { includeObject, metaVersion }: TableOptions,
): object | null {
  if (includeObject === 'Object') return bookmark;
  const isMarked = bookmark.metadata.annotations !== undefined;
  return includeObject === 'None' && !isMarked ? null : partialObject(bookmark.metadata, metaVersion);
}

function column(name: string, description: string, cell: Column['cell']): Column {
  return { name, type: 'string', format: name === 'Name' ? 'name' : '', description, priority: 0, cell };
}

function wideColumn(name: string, description: string, cell: Column['cell']): Column {
  return { ...column(name, description, cell), priority: 1 };
}

function idleTime({ metadata, status }: Session, now: number): string {
  return since(status?.lastActivityTime ?? metadata.creationTimestamp, now);
}

function remainingTime({ status }: Session, now: number): string {
  const end = parseTime(status?.expirationTime);
  return end === undefined ? none : humanDuration(Math.max(0, end - now));
}

function since(time: string | null | undefined, now: number): string {
  const start = parseTime(time);
  return start === undefined ? '<unknown>' : humanDuration(now - start);
}
