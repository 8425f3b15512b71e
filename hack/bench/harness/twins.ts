import type { KubeClient } from '../../../apis/client/transport.ts';
import { hasReason } from '../../../apis/machinery/errors.ts';
import { kind, resource, version } from '../../../apis/names.ts';
import type { Session } from '../../../apis/v1alpha1/types.ts';
import { twinDefinition, twinGroup } from '../../twin/definition.ts';
import { eventually } from './workplace.ts';

const apiVersion = `${twinGroup}/${version}`;

/** What stands beside sessions: objects of a custom resource with the same schema, which kube-apiserver serves by itself. */
export class Twins {
  readonly apiVersion = apiVersion;
  /** Path of the collection. */
  readonly path: string;
  readonly #client: KubeClient;

  private constructor(client: KubeClient, path: string) {
    this.#client = client;
    this.path = path;
  }

  /** Defines the resource if need be, and returns once it is served. */
  static async install(client: KubeClient, namespace: string): Promise<Twins> {
    try {
      const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
      await client.request({ method: 'POST', path: definitions, body: twinDefinition() });
    } catch (error) {
      if (!hasReason(error, 'AlreadyExists')) throw error;
    }
    const path = `/apis/${apiVersion}/namespaces/${namespace}/${resource}`;
    await eventually('the twin is served', async () => (await client.requestRaw({ path })).status === 200);
    return new Twins(client, path);
  }

  /** Makes the twin of a session as it is, with its status. */
  async copy({ metadata: { name = '', labels }, spec, status }: Session): Promise<void> {
    const { path } = this;
    const body = { apiVersion, kind, metadata: { name, ...(labels === undefined ? {} : { labels }) }, spec };
    const { metadata } = await this.#client.request<Session>({ method: 'POST', path, body });
    const observed = { apiVersion, kind, metadata, spec, status };
    await this.#client.request({ method: 'PUT', path: `${path}/${name}/status`, body: observed });
  }
}
