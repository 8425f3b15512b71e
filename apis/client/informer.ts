import { type KubeObject, keyOf } from '../machinery/meta.ts';
import { Reflector, type ReflectorOptions } from './reflector.ts';

/** One difference of the cache; `previous` is absent for a new object, `current` for one that went away. */
export interface Change<T> {
  previous: T | undefined;
  current: T | undefined;
}

export interface InformerOptions<T extends KubeObject, C = T> extends Omit<ReflectorOptions<T>, 'sink'> {
  /** What is kept of an object: drop what nobody reads, so that memory stays small. */
  keep: (object: T) => C;
  /** Called for each difference, after the cache has it. */
  onChange?: (change: Change<C>, key: string) => void;
}

/** A collection in memory, kept current by a {@link Reflector}. Keys are `namespace/name`. */
export class Informer<T extends KubeObject, C = T> {
  readonly #cache = new Map<string, C>();
  readonly #reflector: Reflector<T>;
  readonly #keep: (object: T) => C;
  readonly #listeners = new Set<(change: Change<C>, key: string) => void>();

  constructor(options: InformerOptions<T, C>) {
    this.#keep = options.keep;
    if (options.onChange !== undefined) this.#listeners.add(options.onChange);
    this.#reflector = new Reflector<T>({
      ...options,
      sink: {
        replaced: (items) => this.#replace(items),
        changed: ({ type, object }) => this.#set(keyOf(object), type === 'DELETED' ? undefined : this.#keep(object)),
      },
    });
  }

  get synced(): boolean {
    return this.#reflector.synced;
  }

  get firstSync(): Promise<void> {
    return this.#reflector.firstSync;
  }

  get(namespace: string, name: string): C | undefined {
    return this.#cache.get(`${namespace}/${name}`);
  }

  values(): IterableIterator<C> {
    return this.#cache.values();
  }

  /** Calls a listener for every later difference; the returned function ends that. */
  subscribe(listener: (change: Change<C>, key: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  start(): void {
    this.#reflector.start();
  }

  async stop(): Promise<void> {
    await this.#reflector.stop();
  }

  #replace(items: readonly T[]): void {
    const gone = new Set(this.#cache.keys());
    for (const item of items) {
      const key = keyOf(item);
      gone.delete(key);
      this.#set(key, this.#keep(item));
    }
    for (const key of gone) this.#set(key, undefined);
  }

  #set(key: string, current: C | undefined): void {
    const previous = this.#cache.get(key);
    if (previous === undefined && current === undefined) return;
    if (current === undefined) this.#cache.delete(key);
    else this.#cache.set(key, current);
    for (const listener of this.#listeners) listener({ previous, current }, key);
  }
}
