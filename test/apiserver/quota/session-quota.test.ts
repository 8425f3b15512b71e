import { expect } from 'chai';
import {
  countAfter,
  countKey,
  quotaRefusal,
  type ResourceQuota,
  type SessionQuota,
  sessionQuotaOf,
} from '../../../apiserver/quota/session-quota.ts';

const metadata = { namespace: 'here', name: 'q', uid: 'u', resourceVersion: '7' };
const status = { hard: { [countKey]: '3', pods: '5' }, used: { [countKey]: '1', pods: '2' } };
const of = (change: Partial<ResourceQuota>) => sessionQuotaOf({ metadata, status, ...change });
const request = { namespace: 'here', name: 'mine' };
const quota = (used: string | undefined, limited: string): SessionQuota => ({ ...metadata, used, limited });

describe('a quota of sessions', () => {
  it('is what the status of a ResourceQuota says', () => {
    expect(of({})).to.deep.equal({ ...metadata, limited: '3', used: '1' });
  });

  it('is none where sessions are not counted, or not yet', () => {
    expect(of({ status: { hard: { pods: '5' }, used: { pods: '2' } } })).to.equal(undefined);
    expect(sessionQuotaOf({ metadata })).to.equal(undefined);
  });

  it('is none where the quota has a scope, for no session is within one', () => {
    expect(of({ spec: { scopes: ['BestEffort'] } })).to.equal(undefined);
    expect(of({ spec: { scopeSelector: { matchExpressions: [{}] } } })).to.equal(undefined);
    expect(of({ spec: { scopes: [], scopeSelector: {} } })).not.to.equal(undefined);
  });

  it('allows as many as there is room for, those of this moment included', () => {
    expect(quotaRefusal(quota('1', '3'), 0, request)).to.equal(undefined);
    expect(quotaRefusal(quota('1', '3'), 1, request)).to.equal(undefined);
    expect(quotaRefusal(quota('1', '3'), 2, request)?.message).to.equal(
      `sessions.sojourn.dev "mine" is forbidden: exceeded quota: q, requested: ${countKey}=1, used: ${countKey}=3, limited: ${countKey}=3`,
    );
  });

  it('reads quantities however they are written', () => {
    expect(quotaRefusal(quota('999', '1k'), 0, request)).to.equal(undefined);
    expect(quotaRefusal(quota('1k', '1k'), 0, request)?.message).to.contain(
      `used: ${countKey}=1k, limited: ${countKey}=1k`,
    );
    expect(countAfter('1k', 1)).to.equal('1001');
  });

  it('refuses while nobody has counted', () => {
    const refusal = quotaRefusal(quota(undefined, '3'), 0, request);
    expect(refusal?.code).to.equal(403);
    expect(refusal?.message).to.equal(
      `sessions.sojourn.dev "mine" is forbidden: status unknown for quota: q, resources: ${countKey}`,
    );
    expect(refusal?.details).to.deep.equal({ name: 'mine', group: 'sojourn.dev', kind: 'sessions' });
  });
});
