import { expect } from 'chai';
import { decodeContinuation, encodeContinuation } from '../../apiserver/sessions/continue-token.ts';

const somewhere = { upstream: 'upstream-token', version: '42', after: 'ns/name' };

describe('continue tokens of sessions', () => {
  it('tell where a list goes on', () => {
    const nowhere = { upstream: undefined, version: undefined, after: undefined };
    for (const continuation of [somewhere, nowhere, { ...nowhere, after: 'a/b' }]) {
      expect(decodeContinuation(encodeContinuation(continuation, 'list'), 'list')).to.deep.equal(continuation);
    }
  });

  it('go on with no other list', () => {
    expect(() => decodeContinuation(encodeContinuation(somewhere, 'list'), 'another list'))
      .to.throw(/^invalid continue token: .* another namespace or another selector$/)
      .with.property('code', 400);
  });

  it('are no tokens of kube-apiserver', () => {
    const foreign = Buffer.from('{"v":"meta.k8s.io/v1","rv":1,"start":"a"}').toString('base64url');
    expect(() => decodeContinuation(foreign, 'list'))
      .to.throw(
        'invalid continue token: continue key is not valid: server does not recognize this encoded version meta.k8s.io/v1',
      )
      .with.property('code', 400);
  });

  it('are left to kube-apiserver to refuse when they are nothing at all', () => {
    expect(decodeContinuation('garbage!', 'list')).to.deep.equal({
      upstream: 'garbage!',
      version: undefined,
      after: undefined,
    });
  });
});
