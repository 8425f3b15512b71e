import { Informer } from '../apis/client/informer.ts';
import type { KubeClient } from '../apis/client/transport.ts';
import { sandboxApi, sessionSelector } from '../apis/names.ts';
import type { Log } from '../apis/runtime/log.ts';
import type { Sandbox } from '../apis/v1alpha1/sandbox.ts';
import type { SandboxSource } from './invocation/directory.ts';
import { type SessionRecord, toSessionRecord } from './invocation/session-record.ts';

/** All sessions in memory, by an informer on session-bearing Sandboxes. */
export class SessionInformer implements SandboxSource {
  readonly #informer: Informer<Sandbox, SessionRecord>;

  constructor({ client, log }: { client: KubeClient; log: Log }) {
    this.#informer = new Informer<Sandbox, SessionRecord>({
      client,
      log,
      path: `${sandboxApi.path}/${sandboxApi.resource}`,
      labelSelector: sessionSelector,
      keep: toSessionRecord,
    });
  }

  get synced(): boolean {
    return this.#informer.synced;
  }

  get(namespace: string, name: string): SessionRecord | undefined {
    return this.#informer.get(namespace, name);
  }

  onChange(listener: (key: string) => void): () => void {
    return this.#informer.subscribe((_change, key) => listener(key));
  }

  start(): void {
    this.#informer.start();
  }

  async stop(): Promise<void> {
    await this.#informer.stop();
  }
}
