import type { KubeClient } from '../../../../apis/client/transport.ts';
import { ApiError, hasReason } from '../../../../apis/machinery/errors.ts';

export type ConfigurationKind = 'ConfigMap' | 'Secret';

/** The keys of one ConfigMap or Secret. */
export type ConfigurationData = ReadonlyMap<string, Buffer>;

export interface ConfigurationReference {
  kind: ConfigurationKind;
  name: string;
  optional?: boolean | undefined;
}

/** The ConfigMaps and Secrets of one namespace, each read at most once. */
export class ConfigurationReader {
  readonly #options: { client: KubeClient; namespace: string; signal: AbortSignal };
  readonly #read = new Map<string, Promise<ConfigurationData | undefined>>();

  constructor(options: { client: KubeClient; namespace: string; signal: AbortSignal }) {
    this.#options = options;
  }

  /**
   * Undefined when the object is optional and not there.
   * @throws ApiError NotFound in kubelet's words.
   */
  async read({ kind, name, optional }: ConfigurationReference): Promise<ConfigurationData | undefined> {
    const key = `${kind}/${name}`;
    const pending = this.#read.get(key) ?? this.#fetch(kind, name);
    this.#read.set(key, pending);
    const data = await pending;
    if (data === undefined && optional !== true) {
      throw new ApiError('NotFound', `${kind.toLowerCase()} "${name}" not found`);
    }
    return data;
  }

  async #fetch(kind: ConfigurationKind, name: string): Promise<ConfigurationData | undefined> {
    const { client, namespace, signal } = this.#options;
    const collection = kind === 'Secret' ? 'secrets' : 'configmaps';
    try {
      const { data = {}, binaryData = {} } = await client.request<{
        data?: Record<string, string>;
        binaryData?: Record<string, string>;
      }>({
        path: `/api/v1/namespaces/${encodeURIComponent(namespace)}/${collection}/${encodeURIComponent(name)}`,
        signal,
      });
      const text = kind === 'Secret' ? 'base64' : 'utf8';
      return new Map([...decoded(data, text), ...decoded(binaryData, 'base64')]);
    } catch (error) {
      if (hasReason(error, 'NotFound')) return undefined;
      throw error;
    }
  }
}

function decoded(data: Readonly<Record<string, string>>, encoding: BufferEncoding): [string, Buffer][] {
  return Object.entries(data).map(([key, value]) => [key, Buffer.from(value, encoding)]);
}
