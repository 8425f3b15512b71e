import { expect } from 'chai';
import type { Runtime } from '../../../apis/agentcube/runtime.ts';
import { hashOf } from '../../../apis/machinery/canonical.ts';
import { templateFormat } from '../../../apis/v1alpha1/pool-record.ts';
import {
  desiredPool,
  newTemplate,
  newWarmPool,
  poolName,
  poolNameProblem,
  sandboxBlueprint,
} from '../../../apis/v1alpha1/pool-template.ts';
import { runtimeProblems } from '../../../apis/v1alpha1/spec-rules.ts';
import { anchors, runtime } from './samples.ts';

const dated = { ...anchors, rootKeySince: 7, picodKeySince: 9 };
const pooled: Runtime = { ...runtime, warmPoolSize: 3 };

/** Every way in which the sandbox of a runtime differs by what the runtime says. */
const samples: Record<string, Runtime> = {
  sojourn: pooled,
  picod: { ...pooled, authMode: 'picod' },
  none: { ...pooled, authMode: 'none' },
  workspace: { ...pooled, workspace: '1Gi' },
  probe: {
    ...pooled,
    podTemplate: {
      metadata: { labels: { a: 'b' }, annotations: { c: 'd' } },
      spec: { containers: [{ name: 'x', image: 'y', readinessProbe: {} }], automountServiceAccountToken: true },
    },
  },
};

describe('the template of a pool', () => {
  it('is what its format says: raise the format when this changes', () => {
    const hashes = Object.values(samples).map((sample) => hashOf(sandboxBlueprint(sample, anchors)));
    expect({ templateFormat, hash: hashOf(hashes).slice(0, 16) }).to.deep.equal({
      templateFormat: 1,
      hash: '6722cbcf91940951',
    });
  });

  it('carries our label and keeps the autoscaler away, whatever its author wrote', () => {
    const sample: Runtime = {
      ...pooled,
      podTemplate: {
        ...pooled.podTemplate,
        metadata: {
          labels: { 'sojourn.dev/runtime': 'x', own: 'y' },
          annotations: { 'cluster-autoscaler.kubernetes.io/safe-to-evict': 'true' },
        },
      },
    };
    const desired = desiredPool(sample, dated);
    const pool = newWarmPool(sample, desired);
    const template = newTemplate(sample, pool, desired);
    expect(template.spec.podTemplate?.metadata).to.deep.equal({
      labels: { 'sojourn.dev/runtime': 'py', own: 'y' },
      annotations: { 'cluster-autoscaler.kubernetes.io/safe-to-evict': 'false' },
    });
    expect(template.spec.networkPolicyManagement).to.equal('Unmanaged');
    expect([template.metadata.name, pool.spec.sandboxTemplateRef.name]).to.deep.equal([
      pool.metadata.name,
      pool.metadata.name,
    ]);
    expect(pool.metadata.labels).to.deep.equal({ 'sojourn.dev/runtime': 'py' });
    expect(pool.metadata.ownerReferences?.[0]).to.include({ kind: 'CodeInterpreter', uid: runtime.uid });
  });

  it('has another pool name for everything that a pool is made of', () => {
    const name = (sample: Runtime, keys = dated) => poolName(sample, desiredPool(sample, keys).record);
    const names = [
      name(pooled),
      name({ ...pooled, uid: 'other' }),
      name({ ...pooled, generation: 4 }),
      name({ ...pooled, warmPoolSize: 4 }),
      name({ ...pooled, workspace: '1Gi' }),
      name(pooled, { ...dated, rootKeySince: 8 }),
      name(pooled, { ...dated, rootKey: 'OTHER' }),
    ];
    expect(new Set(names).size).to.equal(names.length);
    for (const one of names) expect(one).to.match(/^py-[0-9a-f]{10}$/);
    expect(name(pooled, { ...dated, picodKeySince: 10 }), 'a key it does not trust').to.equal(name(pooled));
  });

  it('does not depend on the order of members', () => {
    expect(hashOf({ a: 1, b: { c: 2, d: [1, 2] } })).to.equal(hashOf({ b: { d: [1, 2], c: 2 }, a: 1 }));
    expect(hashOf([1, 2])).not.to.equal(hashOf([2, 1]));
  });

  it('is refused for a runtime whose members could not be sessions', () => {
    expect(poolNameProblem({ ...pooled, name: 'a'.repeat(46) })).to.equal(undefined);
    expect(poolNameProblem({ ...pooled, name: 'a'.repeat(47) })).to.match(/at most 46 characters/);
    expect(poolNameProblem({ ...pooled, name: 'a.b' })).to.match(/"\."/);
  });
});

describe('the workspace annotation of a runtime', () => {
  it('takes sizes as Kubernetes writes them and nothing else', () => {
    const problems = (workspace: string) => runtimeProblems({ ...runtime, workspace });
    for (const size of ['1Gi', '500M', '1.5Gi', '1e9', '100', '.5Ti']) expect(problems(size), size).to.deep.equal([]);
    for (const size of ['', '0', '0Gi', '-1Gi', '1 Gi', '1gi', 'big', '1GiB', '1m', '1e', '0e9']) {
      expect(problems(size)[0], size).to.match(/annotation sojourn\.dev\/workspace ".*" is not a size such as 1Gi/);
    }
  });

  it('gives the first container a volume at /workspace, and tells our daemon', () => {
    const sample: Runtime = {
      ...pooled,
      workspace: '1Gi',
      podTemplate: {
        spec: {
          containers: [
            {
              name: 'x',
              env: [{ name: 'SOJOURN_WORKSPACE', value: '/etc' }],
              volumeMounts: [
                { name: 'own', mountPath: '/own' },
                { name: 'hides', mountPath: '/workspace' },
              ],
            },
            { name: 'y' },
          ],
        },
      },
    };
    const { podTemplate, volumeClaimTemplates } = sandboxBlueprint(sample, anchors);
    expect(volumeClaimTemplates).to.deep.equal([
      {
        metadata: { name: 'workspace' },
        spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
      },
    ]);
    const [first, second] = podTemplate?.spec.containers ?? [];
    expect(first?.volumeMounts).to.deep.equal([
      { name: 'own', mountPath: '/own' },
      { name: 'workspace', mountPath: '/workspace' },
    ]);
    expect(first?.env?.filter(({ name }) => name === 'SOJOURN_WORKSPACE')).to.deep.equal([
      { name: 'SOJOURN_WORKSPACE', value: '/workspace' },
    ]);
    expect(second?.volumeMounts).to.equal(undefined);
    const foreign = sandboxBlueprint({ ...sample, authMode: 'picod' }, anchors).podTemplate?.spec.containers?.[0];
    expect(foreign?.env?.find(({ name }) => name === 'SOJOURN_WORKSPACE')?.value).to.equal('/etc');
  });
});
