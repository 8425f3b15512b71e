import { Informer } from '../apis/client/informer.ts';
import type { KubeClient } from '../apis/client/transport.ts';
import { sandboxApi, sessionSelector } from '../apis/names.ts';
import type { Log } from '../apis/runtime/log.ts';
import type { Sandbox } from '../apis/v1alpha1/sandbox.ts';
import type { SessionTransition, TransitionSource } from './invocation/endings/chronicle.ts';
import type { SandboxSource } from './invocation/sandbox-source.ts';
import { type SessionRecord, toSessionRecord } from './invocation/session-record.ts';

/** All sessions in memory, by an informer on session-bearing Sandboxes. Found by name, and by uid. */
export class SessionInformer implements SandboxSource, TransitionSource {
  readonly #informer: Informer<Sandbox, SessionRecord>;
  readonly #byUid = new Map<string, SessionRecord>();

  constructor({ client, log }: { client: KubeClient; log: Log }) {
    this.#informer = new Informer<Sandbox, SessionRecord>({
      client,
      log,
      path: `${sandboxApi.path}/${sandboxApi.resource}`,
      labelSelector: sessionSelector,
      keep: toSessionRecord,
      onChange: ({ previous, current }) => {
        if (previous !== undefined) this.#byUid.delete(uidOf(previous));
        if (current !== undefined) this.#byUid.set(uidOf(current), current);
      },
    });
  }

  get synced(): boolean {
    return this.#informer.synced;
  }

  get(namespace: string, name: string): SessionRecord | undefined {
    return this.#informer.get(namespace, name);
  }

  /** The session of a uid, wherever it is. */
  getByUid(uid: string): SessionRecord | undefined {
    return this.#byUid.get(uid);
  }

  onChange(listener: (key: string) => void): () => void {
    return this.#informer.subscribe((_change, key) => listener(key));
  }

  onTransition(listener: (transition: SessionTransition) => void): () => void {
    return this.#informer.subscribe((transition) => {
      if (this.#informer.synced) listener(transition);
    });
  }

  start(): void {
    this.#informer.start();
  }

  async stop(): Promise<void> {
    await this.#informer.stop();
  }
}

function uidOf({ session }: SessionRecord): string {
  return session.metadata.uid ?? '';
}
