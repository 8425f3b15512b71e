import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { TinyModule } from './tiny-module.ts';

describe('building the binaries', () => {
  let tiny: TinyModule;

  beforeEach(async () => {
    tiny = await TinyModule.create();
  });
  afterEach(() => tiny.remove());

  it('builds the programs and keeps the folders of their modules', async () => {
    const entry = await tiny.ensure();
    const program = join(entry, 'bin', 'greet');
    // Go's println writes to standard error; the word comes from the linker's flags.
    expect(spawnSync(program, { encoding: 'utf8' }).stderr).to.equal('hello\n');
    expect(await readFile(join(entry, 'assets', 'note.txt'), 'utf8')).to.equal('kept');
    expect(await tiny.cached()).to.deep.equal([entry.slice(tiny.cacheDir.length + 1)]);
  });

  it('does not build again what is there, and then needs no Go', async () => {
    const entry = await tiny.ensure();
    const lines: string[] = [];
    const again = await tiny.ensure({ env: { PATH: '/nonexistent' }, report: (line) => lines.push(line) });
    expect(again).to.equal(entry);
    expect(lines).to.deep.equal([]);
    expect(await tiny.builds()).to.have.length(1);
  });

  it('builds anew, beside the old one, when a source changes', async () => {
    const first = await tiny.ensure();
    await tiny.writeProgram('package main\n\nvar greeting string\n\nfunc main() { println(greeting, "again") }\n');
    const second = await tiny.ensure();
    expect(second).to.not.equal(first);
    expect(await tiny.cached()).to.have.members([first, second].map((entry) => entry.slice(tiny.cacheDir.length + 1)));
  });

  it('says what it does at least every five seconds', async () => {
    await tiny.closeGate();
    const child = tiny.ensureInChild();
    await child.said(/^Building a tiny program$/m);
    // The time that is said is left open: on a busy machine a timer fires late.
    await child.said(/^ {2}compiling {2}0 of \d+ packages {2}\ds\n {2}compiling {2}0 of \d+ packages {2}\ds$/m);
    await tiny.openGate();
    expect(await child.ended).to.equal(0);
    expect(child.output).to.match(/^ {2}built in \d+s$/m);
  });
});
