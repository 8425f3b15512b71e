import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { checkout } from '../../hack/start/places.ts';
import { differences } from '../apiserver/differential/intended/differences.ts';
import { intendedDifferences } from '../apiserver/differential/support/intended.ts';

describe('the table of differences to a custom resource', () => {
  it('has the rows of the differential suite and no other, in the same order', async () => {
    const manual = await readFile(join(checkout, 'apiserver', 'CUSTOM-RESOURCE.md'), 'utf8');
    const [, table = ''] = manual.split('\n## What differs\n');
    const rows = [...table.matchAll(/^\| `(\w+)` *\|/gm)].map(([, row]) => row);
    expect(rows).to.deep.equal(Object.keys(intendedDifferences));
  });

  it('has no row that nothing shows: each has its cases, or its behaviour, in the suite of intended differences', () => {
    expect(Object.keys(differences)).to.have.members(Object.keys(intendedDifferences));
    for (const [row, shown] of Object.entries(differences)) {
      if ('cases' in shown) expect(shown.cases, row).to.not.be.empty;
      else expect(shown.behaviour, row).to.be.a('function');
    }
  });

  it('gives a reason for every row', async () => {
    const manual = await readFile(join(checkout, 'apiserver', 'CUSTOM-RESOURCE.md'), 'utf8');
    const [, table = ''] = manual.split('\n## What differs\n');
    const cells = table
      .split('\n')
      .filter((line) => line.startsWith('| `'))
      .map((line) => line.split('|').slice(1, -1));
    expect(cells).to.not.be.empty;
    for (const row of cells) {
      expect(row, row[0]).to.have.length(3);
      for (const cell of row) expect(cell.trim(), row[0]).to.not.equal('');
    }
  });
});
