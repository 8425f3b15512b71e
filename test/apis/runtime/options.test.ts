import { expect } from 'chai';
import { UsageError } from '../../../apis/runtime/options.ts';
import { readOptions } from '../../../apiserver/options.ts';

describe('a time given by a flag', () => {
  it('is one that a timer can wait for: above 24 days Node would not wait at all', () => {
    for (const flag of [
      'shutdown-delay-duration',
      'ready-timeout',
      'request-timeout',
      'upgrade-idle-timeout',
    ] as const) {
      expect(() => readOptions([`--${flag}`, '597h'], {}), flag)
        .to.throw(UsageError)
        .with.property('message')
        .that.contains(`--${flag} must be at most 596h`);
      expect(readOptions([`--${flag}`, '596h'], {})[flag]).to.equal(596 * 3_600_000);
    }
  });
});
