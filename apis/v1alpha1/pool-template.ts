import type { Runtime } from '../agentcube/runtime.ts';
import { hashOf } from '../machinery/canonical.ts';
import type { KubeObject } from '../machinery/meta.ts';
import { annotations, labels, poolApi, runtimeApi } from '../names.ts';
import type { DatedTrustAnchors, TrustAnchors } from '../wire/trust-anchor.ts';
import { sandboxPodTemplate } from './pod-template.ts';
import { type PoolRecord, templateFormat } from './pool-record.ts';
import type { SandboxSpec } from './sandbox.ts';
import { workspaceClaim } from './workspace.ts';

/** What a Sandbox is made of: the part that warm and cold ones of a runtime have in common. */
export type SandboxBlueprint = Pick<SandboxSpec, 'podTemplate' | 'volumeClaimTemplates'>;

/** An extensions.agents.x-k8s.io/v1beta1 SandboxTemplate as far as we look into it. */
export interface SandboxTemplate extends KubeObject {
  spec: SandboxBlueprint & { networkPolicyManagement?: 'Managed' | 'Unmanaged' };
}

/** An extensions.agents.x-k8s.io/v1beta1 SandboxWarmPool as far as we look into it. */
export interface SandboxWarmPool extends KubeObject {
  spec: { replicas: number; sandboxTemplateRef: { name: string }; updateStrategy?: { type: string } };
  status?: { replicas?: number; readyReplicas?: number; observedGeneration?: number };
}

/** The longest name of a pool: 5 characters of chance and a hyphen make a member's, which must do as a Session's. */
const longestPoolName = 57;
const nameHashLength = 10;

/** The sandbox of a runtime, whether a session or a pool asks for it. */
export function sandboxBlueprint(runtime: Runtime, anchors: TrustAnchors): SandboxBlueprint {
  return {
    podTemplate: sandboxPodTemplate(runtime, anchors),
    ...(runtime.workspace === undefined ? {} : { volumeClaimTemplates: [workspaceClaim(runtime.workspace)] }),
  };
}

/** The pool that a runtime should have: what is recorded of it, and what its sandboxes are made of. */
export interface DesiredPool {
  record: PoolRecord;
  blueprint: SandboxBlueprint;
}

/** The pool of a runtime; its size may be 0, which is none. */
export function desiredPool(runtime: Runtime, anchors: DatedTrustAnchors): DesiredPool {
  const blueprint = sandboxBlueprint(runtime, anchors);
  const { uid, generation, warmPoolSize = 0 } = runtime;
  return {
    blueprint,
    record: {
      runtime: { uid, generation },
      templateFormat,
      keyGeneration: keyGenerationOf(runtime, anchors),
      templateHash: hashOf(blueprint),
      size: warmPoolSize,
    },
  };
}

/** A Pod that verifies nothing does not care for keys. */
function keyGenerationOf({ authMode }: Runtime, { rootKeySince, picodKeySince }: DatedTrustAnchors): number {
  if (authMode === 'none') return 0;
  return authMode === 'sojourn' ? rootKeySince : picodKeySince;
}

/** Why a runtime cannot have a pool, however large; undefined when it can. */
export function poolNameProblem({ name }: Runtime): string | undefined {
  const longest = longestPoolName - 1 - nameHashLength;
  if (name.length > longest) return `a runtime with a warm pool can have a name of at most ${longest} characters`;
  if (name.includes('.')) return 'a runtime with a warm pool cannot have a "." in its name';
  return undefined;
}

/** `RUNTIME-HASH`: other content, another name. */
export function poolName({ name }: Runtime, record: PoolRecord): string {
  return `${name}-${hashOf(record).slice(0, nameHashLength)}`;
}

/** A new pool. It goes with its runtime; the sessions that were started from it do not. */
export function newWarmPool(runtime: Runtime, { record }: DesiredPool): SandboxWarmPool {
  const name = poolName(runtime, record);
  const { kind, namespace, uid } = runtime;
  return {
    apiVersion: poolApi.groupVersion,
    kind: poolApi.pool.kind,
    metadata: {
      ...common(runtime, name, record),
      namespace,
      ownerReferences: [{ apiVersion: runtimeApi.groupVersion, kind, name: runtime.name, uid, controller: true }],
    },
    spec: { replicas: record.size, sandboxTemplateRef: { name }, updateStrategy: { type: 'OnReplenish' } },
  };
}

/** The template of a pool; it goes with its pool. */
export function newTemplate(runtime: Runtime, pool: KubeObject, { record, blueprint }: DesiredPool): SandboxTemplate {
  const { name = '', uid = '', namespace = '' } = pool.metadata;
  return {
    apiVersion: poolApi.groupVersion,
    kind: poolApi.template.kind,
    metadata: {
      ...common(runtime, name, record),
      namespace,
      ownerReferences: [{ apiVersion: poolApi.groupVersion, kind: poolApi.pool.kind, name, uid, controller: true }],
    },
    // A Pod leaves the template's own NetworkPolicy when its session adopts it, so there is none.
    spec: { ...blueprint, networkPolicyManagement: 'Unmanaged' },
  };
}

function common(runtime: Runtime, name: string, record: PoolRecord) {
  return {
    name,
    labels: { [labels.runtime]: runtime.name },
    annotations: { [annotations.pool]: JSON.stringify(record) },
  };
}
