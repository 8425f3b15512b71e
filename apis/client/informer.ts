import { type KubeObject, keyOf } from '../machinery/meta.ts';
import { Listeners } from './listeners.ts';
import { Reflector, type ReflectorOptions } from './reflector.ts';
import { Slices } from './slices.ts';

/** One difference of the cache; `previous` is absent for a new object, `current` for one that went away. */
export interface Change<T> {
  previous: T | undefined;
  current: T | undefined;
}

export interface InformerOptions<T extends KubeObject, C = T> extends Omit<ReflectorOptions<T, C>, 'sink'> {
  /** What is kept of an object: drop what nobody reads, so that memory stays small. */
  keep: (object: T) => C;
  /** Called for each difference, after the cache has it. */
  onChange?: (change: Change<C>, key: string) => void;
}

/** A collection in memory, kept current by a {@link Reflector}. Keys are `namespace/name`. */
export class Informer<T extends KubeObject, C = T> {
  readonly #cache = new Map<string, C>();
  readonly #reflector: Reflector<T, [key: string, C]>;
  readonly #keep: (object: T) => C;
  readonly #listeners: Listeners<[change: Change<C>, key: string]>;

  constructor(options: InformerOptions<T, C>) {
    this.#keep = options.keep;
    this.#listeners = new Listeners(options.log);
    if (options.onChange !== undefined) this.#listeners.add(options.onChange);
    this.#reflector = new Reflector<T, [key: string, C]>({
      ...options,
      keep: (object) => [keyOf(object), this.#keep(object)],
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
    return this.#listeners.add(listener);
  }

  start(): void {
    this.#reflector.start();
  }

  async stop(): Promise<void> {
    await this.#reflector.stop();
  }

  async #replace(items: readonly (readonly [key: string, C])[]): Promise<void> {
    const slices = new Slices();
    const gone = new Set(this.#cache.keys());
    for (const [key, current] of items) {
      gone.delete(key);
      this.#set(key, current);
      if (slices.spent) await slices.rest();
    }
    for (const key of gone) {
      this.#set(key, undefined);
      if (slices.spent) await slices.rest();
    }
  }

  #set(key: string, current: C | undefined): void {
    const previous = this.#cache.get(key);
    if (previous === undefined && current === undefined) return;
    if (current === undefined) this.#cache.delete(key);
    else this.#cache.set(key, current);
    this.#listeners.tell({ previous, current }, key);
  }
}
