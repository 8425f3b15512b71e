import { expect } from 'chai';
import { group, resource, sandboxApi } from '../../../../apis/names.ts';
import { twinGroup } from '../../../../hack/twin/definition.ts';
import type { TestCluster } from '../../../support/cluster.ts';
import { until } from '../../../support/until.ts';
import { Side, type SideName } from '../support/side.ts';

const policies = '/apis/admissionregistration.k8s.io/v1';
const words = 'nothing is admitted here';

/** Policies on sessions are asked by nobody, those on Sandboxes are. */
export function admission(env: TestCluster): void {
  const space = env.namespace('admission');
  const made: string[] = [];
  after(async () => {
    for (const path of made.reverse()) await env.client.request({ method: 'DELETE', path });
  });

  /** A policy that denies creates of all these in the namespace. */
  async function deny(name: string, apiGroups: string[], resources: string[], how: object): Promise<void> {
    const apiVersion = 'admissionregistration.k8s.io/v1';
    const metadata = { name: `${space.name}-${name}` };
    const matchConstraints = {
      namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': space.name } },
      resourceRules: [{ apiGroups, apiVersions: ['*'], operations: ['CREATE'], resources }],
    };
    const spec = { matchConstraints, validations: [{ expression: 'false', ...how }] };
    const binding = { policyName: metadata.name, validationActions: ['Deny'] };
    const create = async (plural: string, kind: string, body: object) => {
      const path = `${policies}/${plural}`;
      await env.client.request({ method: 'POST', path, body: { apiVersion, kind, metadata, spec: body } });
      made.push(`${path}/${metadata.name}`);
    };
    await create('validatingadmissionpolicies', 'ValidatingAdmissionPolicy', spec);
    await create('validatingadmissionpolicybindings', 'ValidatingAdmissionPolicyBinding', binding);
  }

  /** A create that is only tried. */
  async function tried(name: SideName): Promise<{ status: number; text: string }> {
    const side = new Side(name, { namespace: space.name, name: 'tried' });
    const request = { method: 'POST', path: side.collection, query: { dryRun: 'All' }, body: side.manifest() } as const;
    const { status, body } = await env.client.requestRaw(request);
    return { status, text: body.toString('utf8') };
  }

  it('admission plugins are asked about the twin and not about sessions, but about their Sandboxes', async () => {
    await deny('sessions', [group, twinGroup], [resource], { message: words });
    const denied = await until('the policy on sessions to hold', async () => {
      const answer = await tried('twin');
      return answer.status === 201 ? undefined : answer;
    });
    expect(denied.status).to.equal(422);
    expect(denied.text).to.contain(words);
    expect((await tried('session')).status).to.equal(201);

    // A refusal that names our account is no lack of its rights.
    const messageExpression = `'${words}, ' + request.userInfo.username`;
    await deny('sandboxes', [sandboxApi.group], [sandboxApi.resource], { reason: 'Forbidden', messageExpression });
    const refused = await until('the policy on Sandboxes to hold', async () => {
      const answer = await tried('session');
      return answer.status === 201 ? undefined : answer;
    });
    expect(refused.status).to.equal(403);
    expect(refused.text).to.contain(`${words}, system:serviceaccount:`);
  });
}
