import { expect } from 'chai';
import { onBehalfOf } from '../../../proxy/access/caller.ts';
import { basicAsBearer } from '../../../proxy/agentcube/authorization.ts';
import { sessionIdOf } from '../../../proxy/agentcube/session-id.ts';

describe('headers of AgentCube’s clients', () => {
  const basic = (pair: string) => `Basic ${Buffer.from(pair).toString('base64')}`;

  const cases: [string, string[], string[]][] = [
    ['a password', ['Authorization', basic('u:t.o-k_e')], ['Authorization', 'Bearer t.o-k_e']],
    ['a password with colons', ['authorization', basic('u:a:b')], ['authorization', 'Bearer a:b']],
    ['a bearer token', ['Authorization', 'Bearer x'], ['Authorization', 'Bearer x']],
    ['what is no base64', ['Authorization', 'Basic a b'], ['Authorization', 'Basic a b']],
    ['another header', ['X-Authorization', basic('u:t')], ['X-Authorization', basic('u:t')]],
    [
      'a value that is called like the header',
      ['X', 'Authorization', 'Y', basic('u:t')],
      ['X', 'Authorization', 'Y', basic('u:t')],
    ],
  ];
  for (const [what, given, expected] of cases) {
    it(`have ${what} as a token or as it was`, () => {
      expect(basicAsBearer(given)).to.deep.equal(expected);
    });
  }

  it('have one session id, none, or nothing that could be taken for one', () => {
    const name = 'X-AgentCube-Session-Id';
    expect(sessionIdOf([name, 'a'])).to.equal('a');
    expect(sessionIdOf(['Other', 'a'])).to.equal(undefined);
    expect(sessionIdOf([name, ''])).to.equal(undefined);
    expect(sessionIdOf([name, 'a', name.toLowerCase(), 'a'])).to.equal('a, a');
    expect(sessionIdOf([name, '', name, ''])).to.equal(', ');
  });

  it('name any user in ASCII', () => {
    const user = { username: 'jürgen 🙂\r\nx: y', groups: ['gräfin'], extra: { 'e/x': ['ä'] } };
    expect(onBehalfOf(user)).to.match(/^[\x20-\x7e]*$/);
    expect(JSON.parse(onBehalfOf(user))).to.deep.equal(user);
  });
});
