import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { Agent } from 'node:http';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { startDaemon, type TestDaemon } from './harness.ts';

const canary = 'the canary that no path may reach';

/** What has fooled other servers, to be put together in every order. */
const fragments = [
  ...[
    '.',
    '..',
    '...',
    '/',
    '//',
    '\\',
    '..\\',
    '%2e',
    '%2E%2e',
    '%2f',
    '%5c',
    '%00',
    '\0',
    '%252e%252e%252f',
    '%c0%ae',
  ],
  ...[
    'outside',
    'canary',
    'workspace',
    'out',
    'in',
    'loop',
    'file',
    '~',
    ' ',
    '?',
    '#',
    ';',
    '\u2025',
    '\uFF0E',
    'proc/self/root',
  ],
];

describe('any path whatsoever', () => {
  let daemon: TestDaemon;
  let outside: string;
  const agent = new Agent({ keepAlive: true, maxSockets: 4 });
  before(async () => {
    daemon = await startDaemon();
    outside = join(daemon.folder, 'outside');
    await mkdir(outside);
    await writeFile(join(outside, 'canary'), canary);
    await mkdir(join(daemon.workspace, 'in'));
    await writeFile(join(daemon.workspace, 'in/file'), 'inside');
    await symlink(outside, join(daemon.workspace, 'out'));
    await symlink('../../outside', join(daemon.workspace, 'in/out'));
    await symlink('loop', join(daemon.workspace, 'loop'));
    await symlink('/', join(daemon.workspace, 'in/workspace'));
  });
  after(async () => {
    agent.destroy();
    await daemon.stop();
  });

  const path = fc.oneof(
    { weight: 4, arbitrary: fc.array(fc.constantFrom(...fragments), { maxLength: 12 }).map((parts) => parts.join('')) },
    { weight: 2, arbitrary: fc.array(fc.constantFrom(...fragments), { maxLength: 8 }).map((parts) => parts.join('/')) },
    { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 40 }) },
  );
  /** As it stands where HTTP permits that, percent-encoded otherwise. */
  const target = (text: string, { encode }: { encode: boolean }) =>
    encode
      ? [...Buffer.from(text)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('')
      : text.replaceAll(/[^\x21-\x7e]/g, (character) => encodeURIComponent(character.toWellFormed()));

  it('reads, lists and writes nothing outside', async () => {
    await fc.assert(
      fc.asyncProperty(path, fc.boolean(), async (text, encode) => {
        const answers = [
          await daemon.request(`/api/files/${target(text, { encode })}`, { agent }),
          await daemon.request(`/api/files?path=${encodeURIComponent(text.toWellFormed())}`, { agent }),
          await daemon.request('/api/files', {
            method: 'POST',
            body: JSON.stringify({ path: text, content: 'AAAA' }),
            agent,
          }),
        ];
        for (const answer of answers) {
          expect(answer.text).to.not.include(canary);
          expect(answer.status, answer.text).to.be.lessThan(500);
        }
      }),
      { numRuns: 200 },
    );
    expect(await readdir(outside)).to.deep.equal(['canary']);
    expect(await readFile(join(outside, 'canary'), 'utf8')).to.equal(canary);
    expect((await readdir(daemon.folder)).toSorted()).to.deep.equal(['outside', 'workspace']);
  });
});
