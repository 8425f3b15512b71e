import { ApiError } from '../../apis/machinery/errors.ts';
import type { KubeObject } from '../../apis/machinery/meta.ts';
import { parseQuantity } from '../../apis/machinery/quantity.ts';
import { group, resource } from '../../apis/names.ts';

/** The key that limits how many sessions a namespace has. */
export const countKey = `count/${resource}.${group}`;

/** A ResourceQuota as far as sessions are concerned (k8s.io/api/core/v1/types.go). */
export interface ResourceQuota extends KubeObject {
  spec?: { scopes?: string[]; scopeSelector?: { matchExpressions?: unknown[] } };
  status?: { hard?: Record<string, string>; used?: Record<string, string> };
}

/** What a ResourceQuota allows of sessions, and how many there are; numbers as the quota writes them. */
export interface SessionQuota {
  namespace: string;
  name: string;
  uid: string;
  resourceVersion: string;
  limited: string;
  /** Undefined until kube-controller-manager has counted for the first time. */
  used: string | undefined;
}

/**
 * What a ResourceQuota says about sessions; undefined when that is nothing. A quota with scopes is never about objects
 * that are only counted (k8s.io/apiserver/pkg/quota/v1/generic/evaluator.go, MatchesNoScopeFunc); what counts is the
 * status, so a quota holds from when kube-controller-manager has taken it up.
 */
export function sessionQuotaOf({ metadata, spec, status }: ResourceQuota): SessionQuota | undefined {
  const limited = status?.hard?.[countKey];
  const isScoped = (spec?.scopes ?? []).length > 0 || (spec?.scopeSelector?.matchExpressions ?? []).length > 0;
  if (limited === undefined || isScoped) return undefined;
  const { namespace = '', name = '', uid = '', resourceVersion = '' } = metadata;
  return { namespace, name, uid, resourceVersion, limited, used: status?.used?.[countKey] };
}

/** One session that is to be created. */
export interface QuotaRequest {
  namespace: string;
  /** Name or, where that is to be generated, generateName. */
  name: string;
}

/**
 * Why a quota does not allow one more session beside those that it counts and `granted` ones; in the words of the
 * ResourceQuota admission plugin (k8s.io/apiserver/pkg/admission/plugin/resourcequota/controller.go, CheckRequest).
 */
export function quotaRefusal(quota: SessionQuota, granted: number, { name }: QuotaRequest): ApiError | undefined {
  if (quota.used === undefined)
    return forbidden(name, `status unknown for quota: ${quota.name}, resources: ${countKey}`);
  const used = countAfter(quota.used, granted);
  const limit = parseQuantity(quota.limited);
  if (limit !== undefined && (parseQuantity(countAfter(used, 1)) ?? 0n) <= limit) return undefined;
  const texts = [`requested: ${countKey}=1`, `used: ${countKey}=${used}`, `limited: ${countKey}=${quota.limited}`];
  return forbidden(name, `exceeded quota: ${quota.name}, ${texts.join(', ')}`);
}

/** A count and some more, as a quantity. */
export function countAfter(used: string, more: number): string {
  if (more === 0) return used;
  const billionth = 1_000_000_000n;
  return String((parseQuantity(used) ?? 0n) / billionth + BigInt(more));
}

function forbidden(name: string, problem: string): ApiError {
  return new ApiError('Forbidden', `${resource}.${group} "${name}" is forbidden: ${problem}`, {
    details: { name, group, kind: resource },
  });
}
