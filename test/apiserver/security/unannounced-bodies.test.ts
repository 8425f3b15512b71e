import { expect } from 'chai';
import { sessionsPath } from '../../support/caller.ts';
import { useCluster } from '../../support/cluster.ts';
import { until } from '../../support/until.ts';
import { DirectPort, grant, identity } from './support/direct.ts';

const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;
/** What would be a request if it were not in a body. */
const smuggled = 'GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n';
const tooMuch = chunk(' '.repeat(3 * 1024 * 1024)) + chunk(smuggled.repeat(1_000));

describe('a body over HTTP/1.1 whose length nobody announced', () => {
  const env = useCluster();
  const space = env.namespace('unannounced');
  const direct = new DirectPort(env);
  before('a user who may create', async () => {
    const rules = [{ apiGroups: ['sojourn.dev'], resources: ['sessions'], verbs: ['create', 'list'] }];
    await grant(env, space.name, { name: 'writer', rules, subjects: [{ kind: 'User', name: 'writer' }] });
    await until('the right', async () => {
      return (await direct.as({ username: 'writer' }, sessionsPath(space.name))).status === 200;
    });
  });

  const head = (headers: readonly string[] = []): string => {
    const named = identity({ username: 'writer' });
    const lines = [
      `POST ${sessionsPath(space.name)} HTTP/1.1`,
      'Host: localhost',
      'Transfer-Encoding: chunked',
      ...headers,
    ];
    for (let i = 0; i + 1 < named.length; i += 2) lines.push(`${named[i]}: ${named[i + 1]}`);
    return `${lines.join('\r\n')}\r\n\r\n`;
  };
  const codesOf = (answers: string) =>
    Array.from(answers.matchAll(/^HTTP\/1\.1 (\d{3})/gm), ([, code]) => Number(code));

  it('is refused with a Status when it is too large, and its connection carries the next request', async () => {
    const next = 'GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';
    const answers = await direct.exchange(`${head()}${tooMuch}0\r\n\r\n${next}`);
    expect(codesOf(answers)).to.deep.equal([413, 200]);
    expect(answers).to.contain('"reason":"RequestEntityTooLarge"').and.to.contain('limit is 3145728');
  });

  it('that never ends is refused alike, and its connection is closed after a while', async () => {
    const heads = [head(), head(['Connection: close'])];
    const all = await Promise.all(heads.map(async (text) => await direct.exchange(text + tooMuch)));
    expect(all.map(codesOf)).to.deep.equal([[413], [413]]);
  });
});
