import { setTimeout as delay } from 'node:timers/promises';
import type { KubeClient } from '../../../apis/client/transport.ts';
import type { KubeObject } from '../../../apis/machinery/meta.ts';
import { EventWatch } from './event-watch.ts';

/** How long nothing may have changed. */
const stillMs = 200;

/** Tells when the controllers have nothing left to do about some collections, so that what is measured is alone. */
export class Stillness {
  readonly #watches: readonly EventWatch<KubeObject>[];

  private constructor(watches: readonly EventWatch<KubeObject>[]) {
    this.#watches = watches;
  }

  /** @param paths of the collections. */
  static async watch(client: KubeClient, paths: readonly string[]): Promise<Stillness> {
    return new Stillness(await Promise.all(paths.map((path) => EventWatch.open<KubeObject>(client, path))));
  }

  /** Resolves once none of them has changed for 200 ms. */
  async reached(): Promise<void> {
    const asked = performance.now();
    for (;;) {
      const last = Math.max(asked, ...this.#watches.map((watch) => watch.lastAt));
      const left = last + stillMs - performance.now();
      if (left <= 0) break;
      await delay(left);
    }
    for (const watch of this.#watches) watch.forget();
  }

  async close(): Promise<void> {
    await Promise.all(this.#watches.map((watch) => watch.close()));
  }
}
