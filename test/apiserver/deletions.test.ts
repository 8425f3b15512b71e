import { expect } from 'chai';
import { groupVersion, kind } from '../../apis/names.ts';
import { type SessionList, sessionsPath } from '../support/caller.ts';
import { useCluster } from '../support/cluster.ts';
import { until } from '../support/until.ts';
import { SessionClient } from './support/session-client.ts';

const spec = { suspended: true, runtimeRef: { kind: 'CodeInterpreter', name: 'none' } };

describe('deletes of sessions', () => {
  const env = useCluster();
  const space = env.namespace('deletes');
  const path = () => sessionsPath(space.name);
  const create = async (name: string, metadata: object = {}) => {
    const body = { apiVersion: groupVersion, kind, metadata: { name, ...metadata }, spec };
    await env.client.request({ method: 'POST', path: path(), body });
  };
  const names = async (labelSelector: string) => {
    const { items } = await env.client.request<SessionList>({ path: path(), query: { labelSelector } });
    return items.map(({ metadata }) => metadata.name);
  };

  it('of a collection go on where a limit ended them', async () => {
    const labels = { run: 'pages' };
    for (const name of ['a', 'b', 'c']) await create(name, { labels });
    const page = async (query: Record<string, string | undefined>) =>
      await env.client.request<SessionList>({
        method: 'DELETE',
        path: path(),
        query: { labelSelector: 'run=pages', limit: '2', ...query },
      });
    const first = await page({});
    expect(first.items.map(({ metadata }) => metadata.name)).to.deep.equal(['a', 'b']);
    expect(await names('run=pages')).to.deep.equal(['c']);
    const second = await page({ continue: first.metadata.continue });
    expect(second.items.map(({ metadata }) => metadata.name)).to.deep.equal(['c']);
    expect(await names('run=pages')).to.deep.equal([]);
  });

  it('of one collection at once by several clients disturb none of them', async () => {
    const labels = { run: 'race' };
    await Promise.all(Array.from({ length: 24 }, (_, index) => create(`race-${index}`, { labels })));
    const query = { labelSelector: 'run=race' };
    const answers = await Promise.all(
      [1, 2, 3].map(() => env.client.requestRaw({ method: 'DELETE', path: path(), query })),
    );
    expect(answers.map(({ status }) => status)).to.deep.equal([200, 200, 200]);
    expect(await names('run=race')).to.deep.equal([]);
  });

  it('that a policy on Sandboxes denies leave no finalizer behind', async () => {
    await create('kept');
    // What the controller still writes would come between the two writes of a deletion.
    await new SessionClient(env, () => space.name).inPhase('kept', 'Suspended');
    const policy = { apiVersion: 'admissionregistration.k8s.io/v1', metadata: { name: `keep-${space.name}` } };
    const policies = '/apis/admissionregistration.k8s.io/v1';
    await env.client.request({
      method: 'POST',
      path: `${policies}/validatingadmissionpolicies`,
      body: {
        ...policy,
        kind: 'ValidatingAdmissionPolicy',
        spec: {
          matchConstraints: {
            namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': space.name } },
            resourceRules: [
              { apiGroups: ['agents.x-k8s.io'], apiVersions: ['*'], operations: ['DELETE'], resources: ['sandboxes'] },
            ],
          },
          validations: [{ expression: "oldObject.metadata.name != 'kept'", message: 'this one is kept' }],
        },
      },
    });
    await env.client.request({
      method: 'POST',
      path: `${policies}/validatingadmissionpolicybindings`,
      body: {
        ...policy,
        kind: 'ValidatingAdmissionPolicyBinding',
        spec: { policyName: policy.metadata.name, validationActions: ['Deny'] },
      },
    });
    try {
      const tried = { propagationPolicy: 'Foreground', dryRun: ['All'] };
      const denied = async () =>
        (await env.client.requestRaw({ method: 'DELETE', path: `${path()}/kept`, body: tried })).status === 422;
      await until('the policy to hold', denied);
      const body = { propagationPolicy: 'Foreground' };
      const answer = await env.client.requestRaw({ method: 'DELETE', path: `${path()}/kept`, body });
      expect(answer.status).to.equal(422);
      const status = JSON.parse(answer.body.toString('utf8')) as { message: string };
      expect(status.message).to.contain('sessions.sojourn.dev "kept" is forbidden').and.contain('this one is kept');
      const { items } = await env.client.request<SessionList>({ path: path() });
      const { metadata } = items.find((item) => item.metadata.name === 'kept') ?? {};
      expect(metadata?.finalizers).to.equal(undefined);
      expect(metadata?.deletionTimestamp).to.equal(undefined);
    } finally {
      await env.client.request({
        method: 'DELETE',
        path: `${policies}/validatingadmissionpolicybindings/${policy.metadata.name}`,
      });
      await env.client.request({
        method: 'DELETE',
        path: `${policies}/validatingadmissionpolicies/${policy.metadata.name}`,
      });
    }
  });
});
