import type { Session } from '../../../../apis/v1alpha1/types.ts';
import type { KubectlResult } from '../../../../hack/cluster/kubectl.ts';

/** What kubectl said, without what must differ: group, uids, versions, times and names of files. */
export function compared({ code, stdout, stderr }: KubectlResult, group: string): KubectlResult {
  return { code, stdout: shown(changedLines(stdout), group), stderr: shown(stderr, group) };
}

/** Of a diff only what changes is compared, but for what follows from a session's spec. */
function changedLines(text: string): string {
  if (!text.startsWith('diff ')) return text;
  return text
    .split('\n')
    .filter((line) => /^[-+]/.test(line) && !line.includes('expirationTime'))
    .join('\n');
}

function shown(text: string, group: string): string {
  return text
    .replaceAll(group, 'GROUP')
    .replaceAll(/GROUP\.v1alpha1|v1alpha1\.GROUP/g, 'GROUP')
    .replaceAll(/\/tmp\/\S+/g, 'FILE')
    .replaceAll(/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, 'UID')
    .replaceAll(/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S*( [+-]\d{4})?/g, 'TIME')
    .replaceAll(/(resourceVersion"?: )"\d+"/g, '$1VERSION')
    .replaceAll(/^@@ .*$/gm, '@@');
}

/** Labels, annotations, spec and owners of fields: what a sequence of commands leaves. */
export function ownersOf({ metadata, spec }: Session, group: string): unknown {
  const { labels, annotations, managedFields } = metadata;
  const text = JSON.stringify({ labels, annotations, spec, managedFields: managedFields?.map(timeless).sort() });
  return JSON.parse(text.replaceAll(group, 'GROUP'));
}

/** An entry without its time, which also orders entries. */
function timeless(entry: unknown): string {
  const { time: _, manager, operation, fieldsV1, ...rest } = entry as Record<string, unknown>;
  return JSON.stringify([manager, operation, rest.apiVersion, sorted(fieldsV1)]);
}

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(members.map(([name, member]) => [name, sorted(member)]));
}
