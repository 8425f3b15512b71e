import type { SessionRecord } from './session-record.ts';

/** Where the sessions come from: the apiserver's watch cache, or the proxy's own informer. */
export interface SandboxSource {
  /** Whether the first list is there; before that, an absent session means nothing. */
  readonly synced: boolean;
  get(namespace: string, name: string): SessionRecord | undefined;
  /** Calls a listener with `namespace/name` of every session that changed, after `get` shows it. Returns the end of it. */
  onChange(listener: (key: string) => void): () => void;
}

/** The session of a key that `onChange` told: `namespace/name`. */
export function recordOf(sandboxes: SandboxSource, key: string): SessionRecord | undefined {
  const slash = key.indexOf('/');
  return sandboxes.get(key.slice(0, slash), key.slice(slash + 1));
}
