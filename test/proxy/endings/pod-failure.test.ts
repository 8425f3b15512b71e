import { expect } from 'chai';
import { podFailure } from '../../../proxy/invocation/endings/pod-failure.ts';

describe('why a Pod does not run', () => {
  const waiting = (reason: string, message: string) =>
    podFailure({
      metadata: { uid: 'pod-1' },
      status: { phase: 'Pending', containerStatuses: [{ name: 'main', state: { waiting: { reason, message } } }] },
    });

  it('does not repeat credentials of a registry', () => {
    const failure = waiting(
      'ErrImagePull',
      'GET "https://bob:secret@r.example/v2/x?sig=secret&y=1": 403 (http://r/?t=secret)',
    );
    expect(failure?.message).to.equal('container "main": GET "https://r.example/v2/x": 403 (http://r/');
  });

  it('does not repeat what a hook wrote', () => {
    const failure = waiting('PostStartHookError', 'Exec lifecycle hook ([sh]) failed - error: 1, message: "secret"');
    expect(failure).to.deep.include({ reason: 'PostStartHookError', final: false });
    expect(failure?.message).to.equal('container "main": its postStart hook failed');
  });

  it('looks at the beginning of an endless message only, and cuts no credential in half', () => {
    const credential = `${'word '.repeat(400)}https://bob:${'secret'.repeat(100)}@r.example/`;
    expect(waiting('ErrImagePull', credential)?.message)
      .to.match(/word …$/)
      .and.not.to.contain('secret');
    for (const unit of ['a-', 'a://', ' ', '?', '://@']) {
      const begun = performance.now();
      expect(waiting('ErrImagePull', unit.repeat(250_000))?.message.length).to.be.lessThan(3_000);
      // Minutes, if each place of the message were a beginning that is looked at to the end.
      expect(performance.now() - begun).to.be.lessThan(20_000);
    }
  });
});
