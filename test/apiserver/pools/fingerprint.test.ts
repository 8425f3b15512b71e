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
});
