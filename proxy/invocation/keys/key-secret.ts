import { setTimeout as delay } from 'node:timers/promises';
import { Informer } from '../../../apis/client/informer.ts';
import type { KubeClient } from '../../../apis/client/transport.ts';
import { hasReason } from '../../../apis/machinery/errors.ts';
import { rotateAnnotation } from '../../../apis/names.ts';
import type { Log } from '../../../apis/runtime/log.ts';
import { type KeyList, keyListData, readKeyList, type Secret, type StoredKey } from './key-list.ts';
import { firstKeyList, type KeyPolicy, sameKeys, successorOf } from './key-rotation.ts';

const firstRetryMs = 500;
const longestRetryMs = 15_000;
/** How often the ages of keys are looked at; much shorter than any period of rotation. */
const longestCheckMs = 60_000;
const checksPerRotation = 10;

export interface KeySecretOptions {
  client: KubeClient;
  log: Log;
  namespace: string;
  name: string;
  policy: KeyPolicy;
  /** Milliseconds since the epoch. */
  now: () => number;
  /** Called after {@link KeySecret.value} changed. */
  onChange: () => void;
}

/**
 * The keys of one kind in memory, kept current by a watch on their Secret. Every process does all of the Secret's upkeep, with
 * no leader: it is created when it is missing, and changed (a new key, old ones dropped) by updates that are fenced by its
 * resourceVersion, so that of several processes with the same intention one has its way and the others follow.
 */
export class KeySecret {
  readonly #options: KeySecretOptions;
  readonly #collection: string;
  readonly #informer: Informer<Secret>;
  readonly #stop = new AbortController();
  /** Contents are read, and updates sent, one after the other: an old one never replaces a newer one. */
  #work: Promise<void> = Promise.resolve();
  #creating: Promise<void> = Promise.resolve();
  #checks: Promise<void> = Promise.resolve();
  #problem: string;
  #value: KeyList | undefined;
  /** The Secret that {@link #value} was read from; absent while there is none that can be read. */
  #source: Secret | undefined;
  #uid: string | undefined;
  #lost: readonly StoredKey[] = [];
  /** The greatest version seen; one more when other keys came with a version that is not greater. */
  #leastVersion = 0;

  constructor(options: KeySecretOptions) {
    const { client, log, namespace, name } = options;
    this.#options = options;
    this.#collection = `/api/v1/namespaces/${namespace}/secrets`;
    this.#problem = `the Secret ${namespace}/${name} has not been read yet`;
    this.#informer = new Informer<Secret>({
      client,
      path: this.#collection,
      // The account may read this Secret by its name alone, and such a right holds for requests of that one name.
      fieldSelector: `metadata.name=${name}`,
      log,
      keep: (secret) => secret,
      onChange: ({ current }) => this.#changed(current),
    });
  }

  /** The last content that could be read; stays when the Secret is deleted or spoilt. */
  get value(): KeyList | undefined {
    return this.#value;
  }

  /** What is missing while there is no value. */
  get problem(): string | undefined {
    return this.#value === undefined ? this.#problem : undefined;
  }

  start(): void {
    this.#informer.start();
    this.#createIfMissing();
    this.#checks = this.#checkAges();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#informer.stop();
    await Promise.all([this.#creating, this.#checks, this.#work]);
  }

  /** Changes the Secret if something is due by now. Runs by itself, about once a minute and after every change. */
  async maintain(): Promise<void> {
    this.#work = this.#work.then(() => this.#update());
    await this.#work;
  }

  #changed(secret: Secret | undefined): void {
    if (secret !== undefined) {
      this.#work = this.#work.then(() => this.#read(secret)).then(() => this.#update());
      return;
    }
    const { log, name } = this.#options;
    log.warn('a key Secret was deleted; it is created again with the keys in memory and a new one', { secret: name });
    this.#work = this.#work.then(() => {
      this.#source = undefined;
    });
    this.#createIfMissing();
  }

  async #read(secret: Secret): Promise<void> {
    const { log, namespace, name, policy, onChange } = this.#options;
    const { uid, resourceVersion } = secret.metadata;
    if (this.#source !== undefined && resourceVersion === this.#source.metadata.resourceVersion) return;
    let list: KeyList;
    try {
      list = await readKeyList(secret, policy.algorithm);
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      this.#problem = `the Secret ${namespace}/${name} cannot be used: ${problem}`;
      this.#source = undefined;
      log.error('a key Secret cannot be used; the last good keys stay in use, delete it to have it made anew', {
        secret: name,
        problem,
      });
      return;
    }
    // The same object without a key: somebody took it out. Another object: its creator may not have known the key.
    const missing = uid === this.#uid ? this.#lost : [...this.#lost, ...(this.#value?.keys ?? [])];
    const kids = new Set(list.keys.map(({ kid }) => kid));
    this.#lost = missing.filter(({ kid }) => !kids.has(kid));
    // Daemons tell sets apart by their versions: edited by hand, or restored from a backup, a set needs a new one.
    const isNew = this.#value !== undefined && !sameKeys(this.#value.keys, list.keys);
    const least = isNew && list.version <= this.#leastVersion ? this.#leastVersion + 1 : this.#leastVersion;
    this.#leastVersion = Math.max(list.version, least);
    this.#uid = uid;
    this.#source = secret;
    this.#value = list;
    onChange();
  }

  async #update(): Promise<void> {
    const { client, log, namespace, name, policy, now } = this.#options;
    const source = this.#source;
    const value = this.#value;
    if (source === undefined || value === undefined || this.#stop.signal.aborted) return;
    const { [rotateAnnotation]: asked, ...annotations } = source.metadata.annotations ?? {};
    try {
      const known = { asked: asked !== undefined, lost: this.#lost, leastVersion: this.#leastVersion };
      const next = await successorOf(value, known, policy, now());
      if (next === undefined) return;
      await client.request({
        method: 'PUT',
        path: `${this.#collection}/${name}`,
        body: {
          ...source,
          // What was listed says these two of the list alone.
          apiVersion: 'v1',
          kind: 'Secret',
          metadata: { ...source.metadata, annotations },
          data: { ...source.data, ...keyListData(next) },
        },
        signal: this.#stop.signal,
      });
      log.info('changed the keys', { secret: `${namespace}/${name}`, version: next.version, kids: kidsOf(next) });
    } catch (error) {
      // Another process was first, or the Secret is gone: the watch says what is to be done then.
      if (hasReason(error, 'Conflict', 'NotFound') || this.#stop.signal.aborted) return;
      log.warn('changing the keys failed, trying again later', { secret: `${namespace}/${name}`, error });
    }
  }

  async #checkAges(): Promise<void> {
    const { rotateAfterMs = Number.POSITIVE_INFINITY } = this.#options.policy;
    const checkMs = Math.min(longestCheckMs, rotateAfterMs / checksPerRotation);
    const { signal } = this.#stop;
    while (!signal.aborted) {
      // Jittered, so that replicas started together do not all try the same update at once.
      const wait = delay(checkMs * (0.5 + Math.random()), undefined, { signal, ref: false });
      await wait.catch(() => undefined);
      await this.maintain();
    }
  }

  #createIfMissing(): void {
    this.#creating = this.#creating.then(() => this.#create());
  }

  /** Ends when the Secret is there, whoever created it; the informer brings its content, the winner's after a race. */
  async #create(): Promise<void> {
    const { client, log, namespace, name } = this.#options;
    const { signal } = this.#stop;
    await Promise.race([this.#informer.firstSync, aborted(signal)]);
    for (let waitMs = firstRetryMs; !signal.aborted; waitMs = Math.min(2 * waitMs, longestRetryMs)) {
      if (this.#informer.get(namespace, name) !== undefined) return;
      try {
        const data = keyListData(await this.#listToCreate());
        const body = { apiVersion: 'v1', kind: 'Secret', metadata: { name }, type: 'Opaque', data };
        await client.request({ method: 'POST', path: this.#collection, body, signal });
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

  /** What was in the Secret is still in use: in tokens on their way, and in Pods that trust it. */
  async #listToCreate(): Promise<KeyList> {
    const { policy, now } = this.#options;
    await this.#work;
    const known = { asked: true, lost: this.#lost, leastVersion: this.#leastVersion };
    const successor = this.#value === undefined ? undefined : await successorOf(this.#value, known, policy, now());
    return successor ?? (await firstKeyList(policy, now()));
  }
}

function kidsOf({ keys }: KeyList): string[] {
  return keys.map(({ kid }) => kid);
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
