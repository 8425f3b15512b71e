import { X509Certificate } from 'node:crypto';
import { Informer } from '../../apis/client/informer.ts';
import type { KubeClient } from '../../apis/client/transport.ts';
import type { KubeObject } from '../../apis/machinery/meta.ts';
import type { Log } from '../../apis/runtime/log.ts';

const namespace = 'kube-system';
const name = 'extension-apiserver-authentication';

interface ConfigMap extends KubeObject {
  data?: Record<string, string>;
}

export interface PublishedSettingsOptions<T> {
  client: KubeClient;
  log: Log;
  /** Reads the ConfigMap's data; undefined when it cannot be used, which is the reader's to log. */
  read: (data: Record<string, string>) => T | undefined;
}

/**
 * Follows the ConfigMap in which kube-apiserver publishes what it authenticates clients with, so that a new CA needs no
 * restart. The last settings that could be used stay in force when it goes away or becomes unreadable.
 */
export class PublishedSettings<T> {
  readonly #informer: Informer<ConfigMap, T | undefined>;
  #lastGood: T | undefined;

  constructor({ client, log, read }: PublishedSettingsOptions<T>) {
    this.#informer = new Informer<ConfigMap, T | undefined>({
      client,
      path: `/api/v1/namespaces/${namespace}/configmaps`,
      fieldSelector: `metadata.name=${name}`,
      log,
      keep: (configMap) => read(configMap.data ?? {}),
      onChange: ({ current }) => {
        this.#lastGood = current ?? this.#lastGood;
      },
    });
  }

  /** Whether the ConfigMap was looked for once. */
  get synced(): boolean {
    return this.#informer.synced;
  }

  /** The current settings; undefined until they were read once. */
  get current(): T | undefined {
    return this.#lastGood;
  }

  start(): void {
    this.#informer.start();
  }

  async stop(): Promise<void> {
    await this.#informer.stop();
  }
}

/** The certificates of a PEM text. @throws when one of them cannot be parsed. */
export function readCertificates(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => new X509Certificate(block));
}
