import { X509Certificate } from 'node:crypto';
import { Informer } from '../../apis/client/informer.ts';
import type { KubeClient } from '../../apis/client/transport.ts';
import type { KubeObject } from '../../apis/machinery/meta.ts';
import type { Log } from '../../apis/runtime/log.ts';

const namespace = 'kube-system';
const name = 'extension-apiserver-authentication';

/** How kube-apiserver introduces the users it speaks for. */
export interface RequestHeaderConfig {
  /** CAs whose client certificates may introduce users. */
  authorities: X509Certificate[];
  /** Common names allowed to; empty means any. */
  allowedNames: string[];
  usernameHeaders: string[];
  groupHeaders: string[];
  /** Lower case. */
  extraPrefixes: string[];
  /** Empty on a kube-apiserver that does not say so: an older one would not strip a forged header. */
  uidHeaders: string[];
}

interface ConfigMap extends KubeObject {
  data?: Record<string, string>;
}

/** Follows the ConfigMap in which kube-apiserver publishes its front-proxy settings, so that a new CA needs no restart. */
export class RequestHeaderConfigSource {
  readonly #informer: Informer<ConfigMap, RequestHeaderConfig | undefined>;
  #lastGood: RequestHeaderConfig | undefined;

  constructor(client: KubeClient, log: Log) {
    this.#informer = new Informer<ConfigMap, RequestHeaderConfig | undefined>({
      client,
      path: `/api/v1/namespaces/${namespace}/configmaps`,
      fieldSelector: `metadata.name=${name}`,
      log,
      keep: (configMap) => readConfig(configMap.data ?? {}, log),
      onChange: ({ current }) => {
        this.#lastGood = current ?? this.#lastGood;
        if (current?.allowedNames.length === 0)
          log.warn('kube-apiserver allows any client of its front-proxy CA to introduce users');
      },
    });
  }

  /** The current settings; undefined until they were read once. */
  get current(): RequestHeaderConfig | undefined {
    return this.#lastGood;
  }

  start(): void {
    this.#informer.start();
  }

  async stop(): Promise<void> {
    await this.#informer.stop();
  }
}

function readConfig(data: Record<string, string>, log: Log): RequestHeaderConfig | undefined {
  try {
    const authorities = certificates(data['requestheader-client-ca-file'] ?? '');
    if (authorities.length === 0) {
      log.error('kube-apiserver publishes no front-proxy CA: start it with --requestheader-client-ca-file');
      return undefined;
    }
    return {
      authorities,
      allowedNames: words(data, 'requestheader-allowed-names'),
      usernameHeaders: words(data, 'requestheader-username-headers').map(lower),
      groupHeaders: words(data, 'requestheader-group-headers').map(lower),
      extraPrefixes: words(data, 'requestheader-extra-headers-prefix').map(lower),
      uidHeaders: words(data, 'requestheader-uid-headers').map(lower),
    };
  } catch (error) {
    log.error('the front-proxy settings cannot be read; the last good ones stay in force', { error });
    return undefined;
  }
}

function certificates(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => new X509Certificate(block));
}

function words(data: Record<string, string>, key: string): string[] {
  const value: unknown = JSON.parse(data[key] ?? '[]');
  return Array.isArray(value) ? value.filter((word) => typeof word === 'string') : [];
}

const lower = (text: string): string => text.toLowerCase();
