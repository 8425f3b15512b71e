import { expect } from 'chai';
import { accountUser } from '../../../hack/cluster/session-users.ts';
import type { RunningProxy } from '../../../proxy/server.ts';
import { useControlPlane, useNamespace } from '../../support/control-plane.ts';
import { untilMayCall } from '../../support/rights.ts';
import { until } from '../../support/until.ts';
import { requestText } from '../support/gateway.ts';
import { startReadyProxy } from '../support/proxy.ts';
import { codeOf, exchange } from '../support/raw-client.ts';

/** What the documentation promises is 10 s; the rest is for a busy machine, less than kube-apiserver's memory of 10 s. */
const deadlineMs = 15_000;

describe('revocation', () => {
  const plane = useControlPlane();
  const namespace = useNamespace(plane);
  /** kube-apiserver remembers a token for all of them, from the last that asked on. */
  let proxies: RunningProxy[];

  before(async () => {
    await plane.client.request({
      method: 'POST',
      path: `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace.name}/roles`,
      body: {
        metadata: { name: 'caller' },
        rules: [{ apiGroups: ['sojourn.dev'], resources: ['sessions/proxy'], verbs: ['get'] }],
      },
    });
    proxies = [await startReadyProxy(plane), await startReadyProxy(plane)];
  });

  after(async () => {
    for (const proxy of proxies) await proxy.stop();
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
    await untilMayCall(plane.client, { user: accountUser(namespace.name, name), namespace: namespace.name });
  }

  /** What each proxy answers: 404 for who may know that there is no such session. */
  async function call(token: string): Promise<number[]> {
    const request = requestText(namespace.name, 'absent', { headers: [`Authorization: Bearer ${token}`] });
    return await Promise.all(proxies.map(async ({ port }) => codeOf(await exchange(port, request))));
  }

  async function becomes(what: string, token: string, expected: number): Promise<void> {
    let last: number[] = [];
    await until(
      what,
      async () => {
        last = await call(token);
        return last.every((code) => code === expected);
      },
      { deadlineMs, seen: () => last },
    );
  }

  it('of accounts, of tokens and of rights is over within the documented time, however many proxies the caller keeps busy', async () => {
    for (const name of ['deleted', 'bound', 'unbound']) await account(name);
    await run('create', 'secret', 'generic', 'holder');
    const deleted = await run('create', 'token', 'deleted');
    const bound = await run('create', 'token', 'bound', '--bound-object-kind=Secret', '--bound-object-name=holder');
    const unbound = await run('create', 'token', 'unbound');
    for (const token of [deleted, bound, unbound]) expect(await call(token)).to.deep.equal([404, 404]);
    await run('delete', 'rolebinding', 'unbound');
    const rights = becomes('the right to be gone', unbound, 403);
    await run('delete', 'serviceaccount', 'deleted');
    const accounts = becomes('the token of the deleted account to be refused', deleted, 401);
    await run('delete', 'secret', 'holder');
    const tokens = becomes('the token of the deleted Secret to be refused', bound, 401);
    await Promise.all([rights, accounts, tokens]);
  });

  it('of a token is not undone by what kube-apiserver remembers of it', async () => {
    const isAccepted = async (audiences: string[]) => {
      const review = await plane.client.request<{ status: { authenticated?: boolean } }>({
        method: 'POST',
        path: '/apis/authentication.k8s.io/v1/tokenreviews',
        body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token, audiences } },
      });
      return review.status.authenticated === true;
    };
    await account('remembered');
    const token = await run('create', 'token', 'remembered');
    const [, claims = ''] = token.split('.');
    const { aud } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as { aud: string[] };
    expect(await isAccepted([])).to.equal(true);
    // Not by kubectl: the rest is over before kube-apiserver forgets, after 10 s.
    const path = `/api/v1/namespaces/${namespace.name}/serviceaccounts/remembered`;
    await plane.client.request({ method: 'DELETE', path });
    let asked = 0;
    await until('kube-apiserver itself to know', async () => {
      asked += 1;
      return !(await isAccepted([...aud, `asked-${asked}`]));
    });
    expect(await call(token)).to.deep.equal([401, 401]);
    expect(await isAccepted([]), 'what it remembers').to.equal(true);
  });
});
