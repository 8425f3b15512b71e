import { expect } from 'chai';
import { startDaemon, type TestDaemon } from './harness.ts';

describe('the environment of a session', () => {
  let daemon: TestDaemon;
  beforeEach(async () => {
    daemon = await startDaemon({ environment: { ...process.env, PLACE: 'container', KEPT: 'yes' } });
  });
  afterEach(() => daemon.stop());

  const give = (body: unknown, method = 'PUT') =>
    daemon.request('/api/environment', { method, body: JSON.stringify(body) });
  const printed = async (variable: string, env: Record<string, string> = {}) =>
    (await daemon.execute({ command: ['sh', '-c', `printf %s "$${variable}"`], env })).stdout;

  it('is given once and then to every command, over the container’s and under the command’s own', async () => {
    const answer = await give({ env: { PLACE: 'session', API_KEY: 's3cret' } });
    expect(answer.status).to.equal(200);
    expect(answer.json()).to.deep.equal({ names: ['PLACE', 'API_KEY'] });
    expect(await printed('API_KEY')).to.equal('s3cret');
    expect(await printed('PLACE')).to.equal('session');
    expect(await printed('KEPT')).to.equal('yes');
    expect(await printed('PLACE', { PLACE: 'command' })).to.equal('command');
  });

  it('is replaced as a whole, by POST too', async () => {
    await give({ env: { OLD: '1' } });
    expect((await give({ env: { NEW: '2' } }, 'POST')).status).to.equal(200);
    expect(await printed('OLD')).to.equal('');
    expect(await printed('NEW')).to.equal('2');
  });

  it('is not told to anybody', async () => {
    await give({ env: { API_KEY: 's3cret' } });
    expect((await daemon.request('/api/environment', { method: 'GET' })).status).to.equal(405);
  });

  it('changes nothing when it is refused, which never quotes a value', async () => {
    await give({ env: { GOOD: 'kept' } });
    for (const body of [{}, { env: [] }, { env: { A: 1 } }, { env: { 'A=B': 's3cret' } }, { env: { A: 's3cret\0' } }]) {
      const answer = await give(body);
      expect(answer.status, JSON.stringify(body)).to.equal(400);
      expect(answer.text).to.not.contain('s3cret');
    }
    expect((await give({ env: { A: 'x'.repeat(200_000) } })).status).to.equal(400);
    expect(await printed('GOOD')).to.equal('kept');
  });

  it('needs a token', async () => {
    const answer = await daemon.request('/api/environment', {
      method: 'PUT',
      body: '{"env":{}}',
      authorization: 'Bearer wrong',
    });
    expect(answer.status).to.equal(401);
  });
});
