import { Informer } from '../apis/client/informer.ts';
import type { KubeClient } from '../apis/client/transport.ts';
import type { KubeObject } from '../apis/machinery/meta.ts';
import { poolApi, poolGuardPolicy, sandboxApi, sessionGuardPolicy } from '../apis/names.ts';
import type { Log } from '../apis/runtime/log.ts';

const path = '/apis/admissionregistration.k8s.io/v1';

/** What a guard must at least be, so that it does what deploy/base says of it. */
interface GuardRequirement {
  /** Of the policy and of its binding. */
  name: string;
  /** How many rules deploy/base has; a test compares. */
  validations: number;
  group: string;
  resources: readonly string[];
  operations: readonly string[];
}

const writes = ['CREATE', 'UPDATE'];

/** The guards of deploy/base/session-guard.yaml and pool-guard.yaml. */
export const guardRequirements: readonly GuardRequirement[] = [
  {
    name: sessionGuardPolicy,
    validations: 6,
    group: sandboxApi.group,
    resources: [sandboxApi.resource, `${sandboxApi.resource}/*`],
    operations: [...writes, 'DELETE'],
  },
  {
    name: poolGuardPolicy,
    validations: 2,
    group: poolApi.group,
    resources: [poolApi.pool.resource, poolApi.template.resource],
    operations: writes,
  },
];

/** admissionregistration.k8s.io/v1 MatchResources; whatever narrows it lets somebody past. */
interface MatchResources {
  resourceRules?: {
    apiGroups?: string[];
    apiVersions?: string[];
    operations?: string[];
    resources?: string[];
    resourceNames?: string[];
    scope?: string;
  }[];
  excludeResourceRules?: unknown[];
  namespaceSelector?: { matchLabels?: object; matchExpressions?: unknown[] };
  objectSelector?: { matchLabels?: object; matchExpressions?: unknown[] };
}

interface Policy extends KubeObject {
  spec?: {
    failurePolicy?: string;
    matchConditions?: unknown[];
    matchConstraints?: MatchResources;
    validations?: unknown[];
  };
}

interface Binding extends KubeObject {
  spec?: { policyName?: string; validationActions?: string[]; matchResources?: MatchResources };
}

/**
 * Watches whether the ValidatingAdmissionPolicies that guard session data and pools are in force. Without them anybody who
 * may patch a Sandbox could forge a session, or have other people's sessions start in an image of his own, so nothing is
 * served.
 */
export class Guard {
  readonly #guards: readonly WatchedGuard[];

  constructor(client: KubeClient, log: Log) {
    this.#guards = guardRequirements.map((requirement) => new WatchedGuard(requirement, client, log));
  }

  start(): void {
    for (const guard of this.#guards) guard.start();
  }

  async stop(): Promise<void> {
    await Promise.all(this.#guards.map((guard) => guard.stop()));
  }

  /** Why session data is not guarded; undefined when it is. */
  problem(): string | undefined {
    for (const guard of this.#guards) {
      const problem = guard.problem();
      if (problem !== undefined) return problem;
    }
    return undefined;
  }
}

class WatchedGuard {
  readonly #requirement: GuardRequirement;
  readonly #policies: Informer<Policy>;
  readonly #bindings: Informer<Binding>;
  /** What was found of the two objects that were looked at last. */
  #judged: { policy: Policy | undefined; binding: Binding | undefined; problem: string | undefined } | undefined;

  constructor(requirement: GuardRequirement, client: KubeClient, log: Log) {
    this.#requirement = requirement;
    const common = { client, log, fieldSelector: `metadata.name=${requirement.name}` };
    this.#policies = new Informer<Policy>({
      ...common,
      path: `${path}/validatingadmissionpolicies`,
      keep: (object) => object,
    });
    this.#bindings = new Informer<Binding>({
      ...common,
      path: `${path}/validatingadmissionpolicybindings`,
      keep: (object) => object,
    });
  }

  start(): void {
    this.#policies.start();
    this.#bindings.start();
  }

  async stop(): Promise<void> {
    await Promise.all([this.#policies.stop(), this.#bindings.stop()]);
  }

  problem(): string | undefined {
    const { name } = this.#requirement;
    if (!this.#policies.synced || !this.#bindings.synced) return `the guard ${name} has not been looked for yet`;
    return this.#judge(this.#policies.get('', name), this.#bindings.get('', name));
  }

  /** Every request asks, and the answer changes when one of the two does. */
  #judge(policy: Policy | undefined, binding: Binding | undefined): string | undefined {
    if (this.#judged !== undefined && this.#judged.policy === policy && this.#judged.binding === binding)
      return this.#judged.problem;
    const found = policyProblem(policy, this.#requirement) ?? bindingProblem(binding, this.#requirement.name);
    const problem = found === undefined ? undefined : `${found}: apply deploy/base`;
    this.#judged = { policy, binding, problem };
    return problem;
  }
}

function policyProblem(policy: Policy | undefined, requirement: GuardRequirement): string | undefined {
  const what = `the ValidatingAdmissionPolicy ${requirement.name}`;
  if (policy === undefined || policy.metadata.deletionTimestamp !== undefined) return `${what} is missing`;
  const { failurePolicy = 'Fail', matchConditions = [], matchConstraints, validations = [] } = policy.spec ?? {};
  if (failurePolicy !== 'Fail') return `${what} must have failurePolicy Fail`;
  if (validations.length < requirement.validations) return `${what} lacks rules of this release`;
  if (matchConditions.length > 0 || isNarrowed(matchConstraints) || !covers(matchConstraints, requirement)) {
    return `${what} must match every write of ${requirement.resources.join(', ')}`;
  }
  return undefined;
}

function bindingProblem(binding: Binding | undefined, name: string): string | undefined {
  const what = `the ValidatingAdmissionPolicyBinding ${name}`;
  const { policyName, validationActions, matchResources } = binding?.spec ?? {};
  const isThere = binding !== undefined && binding.metadata.deletionTimestamp === undefined;
  if (!isThere || policyName !== name || validationActions?.includes('Deny') !== true) {
    return `${what} must bind that policy with action Deny`;
  }
  const narrows = isNarrowed(matchResources) || (matchResources?.resourceRules ?? []).length > 0;
  return narrows ? `${what} must bind that policy everywhere, without matchResources` : undefined;
}

function isNarrowed(match: MatchResources | undefined): boolean {
  const { excludeResourceRules = [], namespaceSelector, objectSelector } = match ?? {};
  return excludeResourceRules.length > 0 || [namespaceSelector, objectSelector].some(selects);
}

function selects(selector: MatchResources['objectSelector']): boolean {
  const { matchLabels = {}, matchExpressions = [] } = selector ?? {};
  return Object.keys(matchLabels).length + matchExpressions.length > 0;
}

function covers(match: MatchResources | undefined, { group, resources, operations }: GuardRequirement): boolean {
  const rules = (match?.resourceRules ?? []).filter(
    ({ apiGroups, apiVersions, resourceNames = [], scope = '*' }) =>
      includes(apiGroups, group) &&
      apiVersions?.includes('*') === true &&
      resourceNames.length === 0 &&
      scope !== 'Cluster',
  );
  return resources.every((resource) =>
    operations.every((operation) =>
      rules.some((rule) => includes(rule.operations, operation) && coversResource(rule.resources, resource)),
    ),
  );
}

function includes(list: readonly string[] | undefined, wanted: string): boolean {
  return list?.some((entry) => entry === '*' || entry === wanted) === true;
}

/** A lone asterisk means all resources without their subresources. */
function coversResource(list: readonly string[] | undefined, resource: string): boolean {
  const isSubresource = resource.includes('/');
  return list?.some((entry) => entry === resource || entry === '*/*' || (entry === '*' && !isSubresource)) === true;
}
