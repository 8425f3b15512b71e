import { expect } from 'chai';
import type { RunningProxy } from '../../../proxy/server.ts';
import { useControlPlane, useNamespace } from '../../support/control-plane.ts';
import { until } from '../../support/until.ts';
import { requestText } from '../support/gateway.ts';
import { startReadyProxy } from '../support/proxy.ts';
import { codeOf, exchange } from '../support/raw-client.ts';

/** What the documentation promises is 10 s for rights and 15 s for tokens; the rest is for a busy machine. */
const rightsDeadlineMs = 15_000;
const tokensDeadlineMs = 22_000;

describe('revocation', () => {
  const plane = useControlPlane();
  const namespace = useNamespace(plane);
  let proxy: RunningProxy;

  before(async () => {
    await plane.client.request({
      method: 'POST',
      path: `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace.name}/roles`,
      body: {
        metadata: { name: 'caller' },
        rules: [{ apiGroups: ['sojourn.dev'], resources: ['sessions/proxy'], verbs: ['get'] }],
      },
    });
    proxy = await startReadyProxy(plane);
  });

  after(async () => {
    await proxy.stop();
  });

  /** Runs kubectl in the suite's namespace; it must succeed. */
  async function run(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await plane.kubectl([...args, '-n', namespace.name]);
    expect(code, stderr).to.equal(0);
    return stdout.trim();
  }

  async function account(name: string): Promise<void> {
    await run('create', 'serviceaccount', name);
    await run('create', 'rolebinding', name, '--role=caller', `--serviceaccount=${namespace.name}:${name}`);
  }

  /** 404 for who may know that there is no such session. */
  async function call(token: string): Promise<number> {
    const headers = [`Authorization: Bearer ${token}`];
    return codeOf(await exchange(proxy.port, requestText(namespace.name, 'absent', { headers })));
  }

  async function becomes(what: string, token: string, expected: number, deadlineMs: number): Promise<void> {
    let last = 0;
    await until(
      what,
      async () => {
        last = await call(token);
        return last === expected;
      },
      { deadlineMs, seen: () => last },
    );
  }

  it('of accounts, of tokens and of rights is over within the documented time, however busy the caller is', async () => {
    for (const name of ['deleted', 'bound', 'unbound']) await account(name);
    await run('create', 'secret', 'generic', 'holder');
    const deleted = await run('create', 'token', 'deleted');
    const bound = await run('create', 'token', 'bound', '--bound-object-kind=Secret', '--bound-object-name=holder');
    const unbound = await run('create', 'token', 'unbound');
    for (const token of [deleted, bound, unbound]) expect(await call(token)).to.equal(404);
    await run('delete', 'rolebinding', 'unbound');
    const rights = becomes('the right to be gone', unbound, 403, rightsDeadlineMs);
    await run('delete', 'serviceaccount', 'deleted');
    const accounts = becomes('the token of the deleted account to be refused', deleted, 401, tokensDeadlineMs);
    await run('delete', 'secret', 'holder');
    const tokens = becomes('the token of the deleted Secret to be refused', bound, 401, tokensDeadlineMs);
    await Promise.all([rights, accounts, tokens]);
  });
});
