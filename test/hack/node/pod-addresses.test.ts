import { expect } from 'chai';
import { AddressPool } from '../../../hack/cluster/node/machine/addresses.ts';

const number = (address: string) => address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);

describe('Pod addresses', () => {
  it('are in 127.64.0.0/10, all different, and never one that looks like a network or broadcast address', () => {
    const pool = new AddressPool('seed');
    const addresses = Array.from({ length: 70_000 }, () => pool.allocate());
    expect(new Set(addresses)).to.have.length(addresses.length);
    for (const address of addresses) {
      expect(number(address)).to.be.within(number('127.64.0.0'), number('127.127.255.255'));
      expect(address).to.not.match(/\.(0|255)$/);
    }
  });

  it('are not given out again soon', () => {
    const pool = new AddressPool('seed');
    const first = pool.allocate();
    pool.release(first);
    const later = Array.from({ length: 1000 }, () => pool.allocate());
    expect(later).to.not.include(first);
  });

  it('can be had back by the Pod that had them, but not by two', () => {
    const before = new AddressPool('seed');
    const kept = [before.allocate(), before.allocate()];
    const pool = new AddressPool('seed');
    expect(kept.map((address) => pool.allocate(address))).to.deep.equal(kept);
    expect(kept).to.not.include(pool.allocate());
    expect(kept).to.not.include(pool.allocate(kept[0]));
    expect(pool.allocate('10.0.0.1')).to.match(/^127\./);
  });

  it('of two clusters begin in different places', () => {
    expect(new AddressPool('/one').allocate()).to.not.equal(new AddressPool('/other').allocate());
  });
});
