import { expect } from 'chai';
import type { PodSpec } from '../../../apis/v1alpha1/sandbox.ts';
import { sandboxFingerprint } from '../../../apiserver/pools/fingerprint.ts';

describe('the fingerprint of a sandbox', () => {
  const of = (spec: PodSpec) => sandboxFingerprint({ podTemplate: { spec } });

  it('is the same after a round trip that drops what is empty', () => {
    const written = { containers: [{ name: 'main', args: [], stdin: false, env: [{ name: 'A', value: '' }] }] };
    expect(of(written as PodSpec)).to.equal(of({ containers: [{ name: 'main', env: [{ name: 'A' }] }] } as PodSpec));
  });

  it('is another one when what was forbidden is allowed by being left out', () => {
    const containers = [{ name: 'main', securityContext: { allowPrivilegeEscalation: false } }];
    const strict = { automountServiceAccountToken: false, enableServiceLinks: false, hostUsers: false, containers };
    for (const field of ['automountServiceAccountToken', 'enableServiceLinks', 'hostUsers']) {
      expect(of({ ...strict, [field]: undefined } as PodSpec), field).not.to.equal(of(strict as PodSpec));
    }
    const loose = { ...strict, containers: [{ name: 'main', securityContext: {} }] };
    expect(of(loose as PodSpec)).not.to.equal(of(strict as PodSpec));
  });

  it('is the same for equal quantities, however they are written, and another one for others', () => {
    const resources = (requests: Record<string, unknown>) =>
      of({ containers: [{ name: 'main', resources: { requests, limits: requests } }] });
    const written = resources({ cpu: '1', memory: '1Gi', 'example.com/gpu': '2' });
    for (const cpu of ['1000m', '1.0', '1e0', '+1', 1]) {
      expect(resources({ cpu, memory: '1024Mi', 'example.com/gpu': '2' }), String(cpu)).to.equal(written);
    }
    expect(resources({ cpu: '1', memory: '1073741824', 'example.com/gpu': '2' })).to.equal(written);
    for (const other of [
      { cpu: '2', memory: '1Gi', 'example.com/gpu': '2' },
      { cpu: '1', memory: '1G', 'example.com/gpu': '2' },
      { cpu: '1', memory: '1Gi' },
      { cpu: '0', memory: '1Gi', 'example.com/gpu': '2' },
    ]) {
      expect(resources(other), JSON.stringify(other)).not.to.equal(written);
    }
    expect(resources({ cpu: '0' })).not.to.equal(resources({}));
  });

  it('is another one for a volume of another size, and the same for one that is written in another way', () => {
    const volume = (sizeLimit: string) => of({ volumes: [{ name: 'tmp', emptyDir: { sizeLimit } }] });
    expect(volume('1Gi')).to.equal(volume('1024Mi'));
    expect(volume('1Gi')).not.to.equal(volume('2Gi'));
    const claim = (storage: string) =>
      sandboxFingerprint({
        volumeClaimTemplates: [
          { metadata: { name: 'w' }, spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage } } } },
        ],
      });
    expect(claim('0.5Gi')).to.equal(claim('512Mi'));
    expect(claim('1Gi')).not.to.equal(claim('10Gi'));
    const divided = (divisor?: string) => {
      const resourceFieldRef = { resource: 'limits.cpu', ...(divisor === undefined ? {} : { divisor }) };
      return of({ containers: [{ name: 'main', env: [{ name: 'CPU', valueFrom: { resourceFieldRef } }] }] });
    };
    expect(divided('0'), 'what the pool controller writes for none').to.equal(divided());
    expect(divided('0.001')).to.equal(divided('1m'));
    expect(divided('1m')).not.to.equal(divided('1'));
  });

  it('is another one for other labels or annotations of the Pod, but for those of the pool controller', () => {
    const labelled = (labels: Record<string, string>, annotations: Record<string, string> = {}) =>
      sandboxFingerprint({ podTemplate: { metadata: { labels, annotations }, spec: {} } });
    const ours = labelled({ 'sojourn.dev/runtime': 'py' });
    expect(labelled({ 'sojourn.dev/runtime': 'py', 'agents.x-k8s.io/sandbox-template-hash': 'x' })).to.equal(ours);
    expect(labelled({ 'sojourn.dev/runtime': 'py', app: 'database' })).not.to.equal(ours);
    expect(labelled({ 'sojourn.dev/runtime': 'py', empty: '' })).not.to.equal(ours);
    expect(labelled({ 'sojourn.dev/runtime': 'other' })).not.to.equal(ours);
    expect(labelled({ 'sojourn.dev/runtime': 'py' }, { limits: '1' })).not.to.equal(
      labelled({ 'sojourn.dev/runtime': 'py' }, { limits: '2' }),
    );
  });
});
