import { expect } from 'chai';
import type { Session } from '../../../apis/v1alpha1/types.ts';
import { EventEncoder } from '../../../apiserver/watch/encoding.ts';

describe('encoded watch events', () => {
  const format = { shape: 'object', metaVersion: 'v1', includeObject: 'Metadata' } as const;
  const session: Session = {
    apiVersion: 'sojourn.dev/v1alpha1',
    kind: 'Session',
    metadata: { name: 'a', namespace: 'b', resourceVersion: '7' },
    spec: { runtimeRef: { kind: 'CodeInterpreter', name: 'é' } },
  };

  it('are the same bytes for everybody, for as long as they are remembered', () => {
    const encoder = new EventEncoder(Date.now);
    const line = encoder.event('MODIFIED', session, format, 'omit');
    expect(JSON.parse(line.toString('utf8'))).to.deep.equal({ type: 'MODIFIED', object: session });
    expect(line.at(-1)).to.equal(0x0a);
    expect(encoder.event('MODIFIED', session, format, 'omit')).to.equal(line);
  });

  it('hold on to no more memory than their own', () => {
    // Node gives out slices of 8 KiB for small buffers; thousands of remembered lines would each keep such a whole.
    const line = new EventEncoder(Date.now).event('ADDED', session, format, 'omit');
    expect(line.buffer.byteLength).to.equal(line.length);
  });
});
