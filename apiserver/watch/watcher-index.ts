import type { Session } from '../../apis/v1alpha1/types.ts';
import type { Scope } from './scope.ts';

/** Who watches what, so that a change costs only those who may see it. */
export class WatcherIndex<W> {
  readonly #groups = new Map<string, Set<W>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The returned function takes the watcher out again. */
  add(scope: Scope, watcher: W): () => void {
    const key = groupOf(scope.namespace, scope.name);
    const group = this.#groups.get(key) ?? new Set();
    this.#groups.set(key, group.add(watcher));
    this.#size += 1;
    return () => {
      if (!group.delete(watcher)) return;
      this.#size -= 1;
      if (group.size === 0 && this.#groups.get(key) === group) this.#groups.delete(key);
    };
  }

  /** Calls back for everybody whose scope a session is in. */
  visit({ metadata: { namespace, name } }: Session, visit: (watcher: W) => void): void {
    for (const key of [
      groupOf(namespace, name),
      groupOf(namespace, undefined),
      groupOf(undefined, name),
      groupOf(undefined, undefined),
    ]) {
      for (const watcher of this.#groups.get(key) ?? []) visit(watcher);
    }
  }

  /** All there are now. */
  all(): W[] {
    return [...this.#groups.values()].flatMap((group) => [...group]);
  }
}

/** Neither names nor namespaces contain a slash or are empty. */
function groupOf(namespace: string | undefined, name: string | undefined): string {
  return `${namespace ?? ''}/${name ?? ''}`;
}
