import { setTimeout as delay } from 'node:timers/promises';
import { readLines } from '../../apis/client/lines.ts';
import type { KubeClient } from '../../apis/client/transport.ts';
import type { WatchEvent } from '../../apis/machinery/meta.ts';
import { sessionSelector } from '../../apis/names.ts';
import type { Sandbox } from '../../apis/v1alpha1/sandbox.ts';
import { sandboxesPath } from '../../apis/v1alpha1/sandbox-paths.ts';

/** kube-apiserver is not asked again more often. */
const pauseMs = 100;

/** resourceVersions of all that happens to a namespace's sessions, from kube-apiserver itself. */
export class SandboxVersions {
  readonly all: string[] = [];
  /** Why it had to go on with another watch, or could not, most lately. */
  lastFailure: unknown;
  readonly #client: KubeClient;
  readonly #namespace: string;
  readonly #stop = new AbortController();

  private constructor(client: KubeClient, namespace: string) {
    this.#client = client;
    this.#namespace = namespace;
  }

  /** @param from resourceVersion that comes before the first. */
  static follow(client: KubeClient, namespace: string, from: string): SandboxVersions {
    const versions = new SandboxVersions(client, namespace);
    void versions.#run(from);
    return versions;
  }

  stop(): void {
    this.#stop.abort();
  }

  /** kube-apiserver may end a watch whenever it likes; the next one goes on where that ended. */
  async #run(from: string): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await this.#watch(this.all.at(-1) ?? from);
      } catch (error) {
        this.lastFailure = String(error);
      }
      await delay(pauseMs, undefined, { signal }).catch(() => undefined);
    }
  }

  async #watch(resourceVersion: string): Promise<void> {
    const query = { watch: 'true', labelSelector: sessionSelector, resourceVersion };
    const path = sandboxesPath(this.#namespace);
    const { body } = await this.#client.stream({ path, query, signal: this.#stop.signal });
    for await (const line of readLines(body)) {
      const { type, object } = JSON.parse(line.toString('utf8')) as WatchEvent<Sandbox>;
      if (type === 'ERROR') throw new Error(JSON.stringify(object));
      this.all.push(object.metadata.resourceVersion ?? '');
    }
  }
}
