import { Informer } from '../apis/client/informer.ts';
import type { KubeClient } from '../apis/client/transport.ts';
import type { KubeObject } from '../apis/machinery/meta.ts';
import { guardPolicy } from '../apis/names.ts';
import type { Log } from '../apis/runtime/log.ts';

const path = '/apis/admissionregistration.k8s.io/v1';

/** How many rules deploy/base/session-guard.yaml has; a test compares. */
export const validations = 6;

interface Policy extends KubeObject {
  spec?: { failurePolicy?: string; matchConditions?: unknown[]; validations?: unknown[] };
}

interface Binding extends KubeObject {
  spec?: { policyName?: string; validationActions?: string[]; matchResources?: object };
}

/**
 * Watches whether the ValidatingAdmissionPolicy that guards session data is in force. Without it anybody who may
 * patch a Sandbox could forge a session, so nothing is served.
 */
export class Guard {
  readonly #policies: Informer<Policy>;
  readonly #bindings: Informer<Binding>;

  constructor(client: KubeClient, log: Log) {
    const common = { client, log, fieldSelector: `metadata.name=${guardPolicy}` };
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

  /** Why session data is not guarded; undefined when it is. */
  problem(): string | undefined {
    const policy = this.#policies.get('', guardPolicy);
    const binding = this.#bindings.get('', guardPolicy);
    if (policy === undefined) return `the ValidatingAdmissionPolicy ${guardPolicy} is missing: apply deploy/base`;
    if (policy.spec?.failurePolicy !== undefined && policy.spec.failurePolicy !== 'Fail') {
      return `the ValidatingAdmissionPolicy ${guardPolicy} must have failurePolicy Fail`;
    }
    const binds =
      binding?.spec?.policyName === guardPolicy && binding.spec.validationActions?.includes('Deny') === true;
    return binds
      ? undefined
      : `the ValidatingAdmissionPolicyBinding ${guardPolicy} must bind that policy with action Deny`;
  }
}
