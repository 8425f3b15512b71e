import { setTimeout as delay } from 'node:timers/promises';
import { Informer } from '../../apis/client/informer.ts';
import type { KubeClient } from '../../apis/client/transport.ts';
import { hasReason } from '../../apis/machinery/errors.ts';
import type { Log } from '../../apis/runtime/log.ts';
import type { Secret } from './key-secrets.ts';

const firstRetryMs = 500;
const longestRetryMs = 15_000;

export interface SecretWatchOptions<T> {
  client: KubeClient;
  log: Log;
  namespace: string;
  name: string;
  create: () => Promise<Secret>;
  /** Throws an Error whose message may be shown to operators. */
  read: (secret: Secret) => Promise<T>;
  /** Called after {@link SecretWatch.value} changed. */
  onChange: () => void;
}

/** One Secret's value in memory, kept current; the Secret is created if nobody has done so yet. */
export class SecretWatch<T> {
  readonly #options: SecretWatchOptions<T>;
  readonly #collection: string;
  readonly #informer: Informer<Secret>;
  readonly #stop = new AbortController();
  #creating: Promise<void> = Promise.resolve();
  #reading: Promise<void> = Promise.resolve();
  #problem: string;
  #value: T | undefined;

  constructor(options: SecretWatchOptions<T>) {
    this.#options = options;
    this.#collection = `/api/v1/namespaces/${options.namespace}/secrets`;
    this.#problem = `the Secret ${options.namespace}/${options.name} has not been read yet`;
    this.#informer = new Informer<Secret>({
      client: options.client,
      path: this.#collection,
      // The account may read this Secret by its name alone, and such a right holds for requests of that one name.
      fieldSelector: `metadata.name=${options.name}`,
      log: options.log,
      keep: (secret) => secret,
      onChange: ({ current }) => this.#changed(current),
    });
  }

  /** The last content that could be read; stays when the Secret is deleted or spoilt. */
  get value(): T | undefined {
    return this.#value;
  }

  /** What is missing while there is no value. */
  get problem(): string | undefined {
    return this.#value === undefined ? this.#problem : undefined;
  }

  start(): void {
    this.#informer.start();
    this.#creating = this.#createIfMissing();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#informer.stop();
    await Promise.all([this.#creating, this.#reading]);
  }

  /** Contents are read one after the other, so that an old one never replaces a newer one. */
  #changed(secret: Secret | undefined): void {
    const { log, name } = this.#options;
    if (secret === undefined) {
      log.error('a key Secret was deleted; the keys in memory stay in use until this process ends', { secret: name });
      return;
    }
    this.#reading = this.#reading.then(() => this.#read(secret));
  }

  async #read(secret: Secret): Promise<void> {
    const { log, namespace, name, read, onChange } = this.#options;
    try {
      this.#value = await read(secret);
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      this.#problem = `the Secret ${namespace}/${name} cannot be used: ${problem}`;
      log.error('a key Secret cannot be used', { secret: name, problem });
      return;
    }
    onChange();
  }

  /** Ends when the Secret is there, whoever created it; the informer brings its content, the winner's after a race. */
  async #createIfMissing(): Promise<void> {
    const { client, log, namespace, name, create } = this.#options;
    const { signal } = this.#stop;
    await Promise.race([this.#informer.firstSync, aborted(signal)]);
    for (let waitMs = firstRetryMs; !signal.aborted; waitMs = Math.min(2 * waitMs, longestRetryMs)) {
      if (this.#informer.get(namespace, name) !== undefined) return;
      try {
        await client.request({ method: 'POST', path: this.#collection, body: await create(), signal });
        log.info('created a key Secret', { secret: name });
        return;
      } catch (error) {
        if (hasReason(error, 'AlreadyExists') || signal.aborted) return;
        this.#problem = `the Secret ${namespace}/${name} does not exist and could not be created`;
        log.warn('creating a key Secret failed, trying again', { secret: name, waitMs, error });
      }
      await delay(waitMs, undefined, { signal }).catch(() => undefined);
    }
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
