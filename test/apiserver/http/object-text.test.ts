import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'chai';
import { objectBytes } from '../../../apiserver/http/object-text.ts';

const session = (index: number) => ({
  kind: 'Session',
  metadata: { name: `s${index}`, labels: { text: 'ä€😀"\\\u2028', none: undefined } },
  spec: { runtimeRef: { kind: 'CodeInterpreter', name: 'python' }, list: [1, null, { a: [] }] },
});
const listOf = (length: number) => ({
  kind: 'SessionList',
  metadata: { resourceVersion: '7' },
  items: Array.from({ length }, (_, index) => session(index)),
});

describe('the text of a list', () => {
  it('is the same JSON, however long it is', async () => {
    const { items } = listOf(500);
    for (const object of [listOf(0), listOf(199), listOf(200), listOf(5_000), { items }, { items, kind: 'last' }]) {
      expect((await objectBytes(object, 'JSON')).toString()).to.equal(`${JSON.stringify(object)}\n`);
    }
  });

  it('leaves others their turn while it is written', async () => {
    let isWritten = false;
    const writing = objectBytes(listOf(100_000), 'JSON').finally(() => {
      isWritten = true;
    });
    let turns = 0;
    while (!isWritten) {
      await turn();
      turns += 1;
    }
    await writing;
    expect(turns).to.be.above(5);
  });
});
