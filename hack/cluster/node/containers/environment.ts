import type { KubeClient } from '../../../../apis/client/transport.ts';
import { ApiError, hasReason } from '../../../../apis/machinery/errors.ts';
import type { Container, EnvVar, KeySelector, Pod } from '../api/pod.ts';
import { expand } from './expansion.ts';
import { fieldValue, type PodAddresses } from './field-reference.ts';

export type Environment = Record<string, string>;

export interface EnvironmentSources {
  pod: Pod;
  container: Container;
  addresses: PodAddresses;
  /** Variables of the services that a Pod can see; `$(NAME)` may refer to them. */
  services: Environment;
  client: KubeClient;
  signal: AbortSignal;
}

type ReferenceKind = 'ConfigMap' | 'Secret';

/**
 * A container's declared variables with those of its services, in kubelet's order of precedence
 * (k8s.io/kubernetes/pkg/kubelet/kubelet_pods.go, makeEnvironmentVariables).
 * @throws ApiError whose message is what the container's state shows.
 */
export async function declaredEnvironment(sources: EnvironmentSources): Promise<Environment> {
  const references = new References(sources);
  const variables = new Map<string, string>();
  for (const source of sources.container.envFrom ?? []) {
    const kind = source.secretRef === undefined ? 'ConfigMap' : 'Secret';
    const reference = source.secretRef ?? source.configMapRef;
    if (reference === undefined) continue;
    const data = await references.read(kind, reference);
    for (const [key, value] of Object.entries(data ?? {})) variables.set((source.prefix ?? '') + key, value);
  }
  for (const variable of sources.container.env ?? []) {
    const value = await resolve(variable, { sources, references, variables });
    if (value !== undefined) variables.set(variable.name, value);
  }
  return { ...sources.services, ...Object.fromEntries(variables) };
}

/** Undefined leaves the variable out: it comes from an optional source that is not there. */
async function resolve(
  variable: EnvVar,
  context: { sources: EnvironmentSources; references: References; variables: ReadonlyMap<string, string> },
): Promise<string | undefined> {
  const { sources, references, variables } = context;
  if (variable.value !== undefined && variable.value !== '') {
    return expand(variable.value, (name) => variables.get(name) ?? lookup(sources.services, name));
  }
  const from = variable.valueFrom;
  if (from === undefined) return '';
  if (from.fieldRef !== undefined) return fieldValue(from.fieldRef.fieldPath, sources.pod, sources.addresses);
  if (from.configMapKeyRef !== undefined) return await references.readKey('ConfigMap', from.configMapKeyRef);
  if (from.secretKeyRef !== undefined) return await references.readKey('Secret', from.secretKeyRef);
  throw new ApiError('Invalid', `the local node has no ${Object.keys(from).join()} for variable ${variable.name}`);
}

/** A variable by name; `$(constructor)` is none. */
export function lookup(variables: Environment, name: string): string | undefined {
  return Object.hasOwn(variables, name) ? variables[name] : undefined;
}

/** The ConfigMaps and Secrets that one container names, each read once. */
class References {
  readonly #sources: EnvironmentSources;
  readonly #read = new Map<string, Promise<Environment | undefined>>();

  constructor(sources: EnvironmentSources) {
    this.#sources = sources;
  }

  /** All keys as text; undefined when the object is optional and not there. */
  async read(kind: ReferenceKind, reference: { name: string; optional?: boolean }): Promise<Environment | undefined> {
    const key = `${kind}/${reference.name}`;
    const pending = this.#read.get(key) ?? this.#fetch(kind, reference.name);
    this.#read.set(key, pending);
    const data = await pending;
    if (data === undefined && reference.optional !== true) {
      throw new ApiError('NotFound', `${kind.toLowerCase()} "${reference.name}" not found`);
    }
    return data;
  }

  async readKey(kind: ReferenceKind, selector: KeySelector): Promise<string | undefined> {
    const value = (await this.read(kind, selector))?.[selector.key];
    if (value === undefined && selector.optional !== true) {
      const name = `${this.#sources.pod.metadata.namespace}/${selector.name}`;
      throw new ApiError('NotFound', `couldn't find key ${selector.key} in ${kind} ${name}`);
    }
    return value;
  }

  async #fetch(kind: ReferenceKind, name: string): Promise<Environment | undefined> {
    const namespace = encodeURIComponent(this.#sources.pod.metadata.namespace ?? '');
    const collection = kind === 'Secret' ? 'secrets' : 'configmaps';
    try {
      const { data = {} } = await this.#sources.client.request<{ data?: Environment }>({
        path: `/api/v1/namespaces/${namespace}/${collection}/${encodeURIComponent(name)}`,
        signal: this.#sources.signal,
      });
      if (kind === 'ConfigMap') return data;
      const decode = (value: string) => Buffer.from(value, 'base64').toString('utf8');
      return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, decode(value)]));
    } catch (error) {
      if (hasReason(error, 'NotFound')) return undefined;
      throw error;
    }
  }
}
