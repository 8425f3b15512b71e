import type { KubeClient } from '../../../../apis/client/transport.ts';
import { ApiError } from '../../../../apis/machinery/errors.ts';
import { type ConfigurationKind, ConfigurationReader } from '../api/configuration.ts';
import type { Container, EnvVar, KeySelector, Pod, ResourceList } from '../api/pod.ts';
import { expand } from './expansion.ts';
import { fieldValue, type PodAddresses, resourceValue } from './field-reference.ts';

export type Environment = Record<string, string>;

export interface EnvironmentSources {
  pod: Pod;
  container: Container;
  addresses: PodAddresses;
  /** Variables of the services that a Pod can see; `$(NAME)` may refer to them. */
  services: Environment;
  /** What the node has to give: the limit of a container that has none. */
  allocatable: ResourceList;
  client: KubeClient;
  signal: AbortSignal;
}

/**
 * A container's declared variables with those of its services, in kubelet's order of precedence
 * (k8s.io/kubernetes/pkg/kubelet/kubelet_pods.go, makeEnvironmentVariables).
 * @throws ApiError whose message is what the container's state shows.
 */
export async function declaredEnvironment(sources: EnvironmentSources): Promise<Environment> {
  const { client, signal, pod } = sources;
  const references = new ConfigurationReader({ client, signal, namespace: pod.metadata.namespace ?? '' });
  const variables = new Map<string, string>();
  for (const source of sources.container.envFrom ?? []) {
    const kind = source.secretRef === undefined ? 'ConfigMap' : 'Secret';
    const reference = source.secretRef ?? source.configMapRef;
    if (reference === undefined) continue;
    const data = await references.read({ kind, ...reference });
    for (const [key, value] of data ?? []) variables.set((source.prefix ?? '') + key, value.toString('utf8'));
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
  context: { sources: EnvironmentSources; references: ConfigurationReader; variables: ReadonlyMap<string, string> },
): Promise<string | undefined> {
  const { sources, variables } = context;
  if (variable.value !== undefined && variable.value !== '') {
    return expand(variable.value, (name) => variables.get(name) ?? lookup(sources.services, name));
  }
  const from = variable.valueFrom;
  if (from === undefined) return '';
  if (from.fieldRef !== undefined) return fieldValue(from.fieldRef.fieldPath, sources.pod, sources.addresses);
  if (from.resourceFieldRef !== undefined) {
    return resourceValue(from.resourceFieldRef, sources.container, sources.allocatable);
  }
  if (from.configMapKeyRef !== undefined) return await readKey('ConfigMap', from.configMapKeyRef, context);
  if (from.secretKeyRef !== undefined) return await readKey('Secret', from.secretKeyRef, context);
  throw new ApiError('Invalid', `the local node has no ${Object.keys(from).join()} for variable ${variable.name}`);
}

/** A variable by name; `$(constructor)` is none. */
export function lookup(variables: Environment, name: string): string | undefined {
  return Object.hasOwn(variables, name) ? variables[name] : undefined;
}

async function readKey(
  kind: ConfigurationKind,
  selector: KeySelector,
  { sources, references }: { sources: EnvironmentSources; references: ConfigurationReader },
): Promise<string | undefined> {
  const value = (await references.read({ kind, ...selector }))?.get(selector.key);
  if (value === undefined && selector.optional !== true) {
    const name = `${sources.pod.metadata.namespace}/${selector.name}`;
    throw new ApiError('NotFound', `couldn't find key ${selector.key} in ${kind} ${name}`);
  }
  return value?.toString('utf8');
}
