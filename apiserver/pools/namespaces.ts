import { Informer } from '../../apis/client/informer.ts';
import type { KubeClient } from '../../apis/client/transport.ts';
import type { KubeObject } from '../../apis/machinery/meta.ts';
import type { Log } from '../../apis/runtime/log.ts';

interface NamespaceView {
  terminating: boolean;
}

/**
 * Which namespaces take new sessions. kube-apiserver refuses creates in one that is on its way out, but an adoption is an
 * update.
 */
export class Namespaces {
  readonly #informer: Informer<KubeObject, NamespaceView>;

  constructor({ client, log }: { client: KubeClient; log: Log }) {
    this.#informer = new Informer<KubeObject, NamespaceView>({
      client,
      log,
      path: '/api/v1/namespaces',
      keep: ({ metadata }) => ({ terminating: metadata.deletionTimestamp !== undefined }),
    });
  }

  start(): void {
    this.#informer.start();
  }

  async stop(): Promise<void> {
    await this.#informer.stop();
  }

  /** Whether a namespace is known to be there to stay. */
  takesNew(namespace: string): boolean {
    return this.#informer.get('', namespace)?.terminating === false;
  }
}
