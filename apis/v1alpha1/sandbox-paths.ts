import { sandboxApi } from '../names.ts';

/** The path of a namespace's Sandboxes. */
export function sandboxesPath(namespace: string): string {
  return `${sandboxApi.path}/namespaces/${encodeURIComponent(namespace)}/${sandboxApi.resource}`;
}

/** The path of one Sandbox, which is that of its Session too. */
export function sandboxPath(namespace: string, name: string): string {
  return `${sandboxesPath(namespace)}/${encodeURIComponent(name)}`;
}
