import { expect } from 'chai';
import { useControlPlane, useNamespace } from '../../support/control-plane.ts';
import { until } from '../../support/until.ts';
import { Cleanup } from '../support/cleanup.ts';
import { type CallOptions, startGateway, type TestGateway } from '../support/gateway.ts';
import { codeOf } from '../support/raw-client.ts';
import { TestSessions } from '../support/sessions.ts';
import { KeySecrets } from './support/rings.ts';
import { type DaemonSandbox, startDaemonSandbox } from './support/sandboxes.ts';

const signingKeys = 'sojourn-signing-keys';
const rootKey = 'sojourn-root-key';
/** So that keys change all the time. */
const keyTimes = { rotateAfterMs: 1_000, announceMs: 200 };

const list: CallOptions = { target: '/api/files?path=.' };
const upload: CallOptions = {
  method: 'POST',
  target: '/api/files',
  headers: ['Content-Type: application/json'],
  body: JSON.stringify({ path: 'a.txt', content: Buffer.from('hello').toString('base64') }),
};

describe('calls through two proxies while keys change', () => {
  const plane = useControlPlane();
  const namespace = useNamespace(plane);
  const cleanup = new Cleanup();
  const secrets = new KeySecrets(plane, () => namespace.name);
  let sessions: TestSessions;
  let gateways: TestGateway[];

  before(async () => {
    sessions = new TestSessions(plane.client, () => namespace.name);
    gateways = await Promise.all([1, 2].map(() => newGateway()));
  });

  after(async () => {
    for (const gateway of gateways) await gateway.stop();
  });

  const newGateway = () =>
    startGateway({
      client: plane.client,
      readyTimeoutMs: 10_000,
      settings: { keyTimes },
      keyNamespace: namespace.name,
    });
  const currentRoot = () => (gateways[0] as TestGateway).path.keys.trustAnchors().rootKey;

  async function startSandbox(name: string): Promise<DaemonSandbox> {
    const options = { sessions, namespace: namespace.name, name, rootKey: currentRoot() };
    return cleanup.add(await startDaemonSandbox(options));
  }

  async function callEverywhere(name: string, call: CallOptions = list, through = gateways): Promise<number[]> {
    return await Promise.all(through.map(async (gateway) => codeOf(await gateway.call(namespace.name, name, call))));
  }

  /** Calls these sessions through each proxy without a pause until this is over; answers how often, by code. */
  async function load(names: string[], during: () => Promise<unknown>): Promise<Record<string, number>> {
    const codes: Record<string, number> = {};
    let over = false;
    const callers = names.flatMap((name) =>
      gateways.map(async (gateway, index) => {
        while (!over) {
          const answer = await gateway.call(namespace.name, name, index === 0 ? list : upload);
          const code = codeOf(answer);
          codes[code] = (codes[code] ?? 0) + 1;
        }
      }),
    );
    try {
      await during();
    } finally {
      over = true;
      await Promise.all(callers);
    }
    return codes;
  }

  it('all succeed, through several rotations and the loss of old keys', async () => {
    await startSandbox('one');
    await startSandbox('two');
    const versions = new Set<number>();
    const codes = await load(['one', 'two'], async () => {
      await secrets.until(signingKeys, ({ version }) => versions.add(version).size > 3);
      // As if the past were further back: what was superseded long ago is dropped. The last two keys may be in use.
      const past = (time: string) => new Date(Date.parse(time) - 3_600_000).toISOString();
      let dropped: string[] = [];
      await secrets.edit(signingKeys, ({ version, keys }) => {
        dropped = keys.slice(0, -3).map(({ kid }) => kid);
        const older = keys.slice(0, -2).map((key) => ({ ...key, notBefore: past(key.notBefore) }));
        return { version: version + 1, keys: [...older, ...keys.slice(-2)] };
      });
      expect(dropped).not.to.deep.equal([]);
      await secrets.until(signingKeys, ({ keys }) => keys.every(({ kid }) => !dropped.includes(kid)));
      await secrets.until(signingKeys, ({ version }) => versions.add(version).size > 5);
    });
    expect(Object.keys(codes)).to.deep.equal(['200']);
  });

  it('all succeed when the Secret of the signing keys is deleted', async () => {
    await startSandbox('deleted');
    const { version } = await secrets.read(signingKeys);
    const codes = await load(['deleted'], async () => {
      await secrets.delete(signingKeys);
      await secrets.until(signingKeys, (document) => document.version > version + 2);
    });
    expect(Object.keys(codes)).to.deep.equal(['200']);
  });

  it('succeed again through both at the first try when the daemon forgot all keys', async () => {
    const sandbox = await startSandbox('restarted');
    for (let round = 1; round <= 3; round += 1) {
      const { version } = await secrets.read(signingKeys);
      expect(await callEverywhere('restarted')).to.deep.equal([200, 200]);
      await secrets.until(signingKeys, (document) => document.version > version);
      await sandbox.restart();
      expect(await callEverywhere('restarted')).to.deep.equal([200, 200]);
    }
  });

  it('succeed through a proxy that has just been started', async () => {
    await startSandbox('known');
    expect(await callEverywhere('known')).to.deep.equal([200, 200]);
    const later = cleanup.add(await newGateway());
    expect(await callEverywhere('known', upload, [later])).to.deep.equal([200]);
  });

  it('go on for old sessions when the root is replaced, and new sessions trust the new one', async () => {
    await startSandbox('old-root');
    const old = currentRoot();
    const codes = await load(['old-root'], async () => {
      await secrets.askForRotation(rootKey);
      await until('the new root', () => gateways.every(({ path }) => path.keys.trustAnchors().rootKey !== old));
      await startSandbox('new-root');
      expect(await callEverywhere('new-root', upload)).to.deep.equal([200, 200]);
    });
    expect(Object.keys(codes)).to.deep.equal(['200']);
    const later = cleanup.add(await newGateway());
    for (const name of ['old-root', 'new-root']) {
      expect(await callEverywhere(name, list, [later])).to.deep.equal([200]);
    }
  });

  it('go on for old sessions when the Secret of the root is deleted', async () => {
    await startSandbox('deleted-root');
    const { keys } = await secrets.read(rootKey);
    await secrets.delete(rootKey);
    const kids = keys.map(({ kid }) => kid);
    await secrets.until(rootKey, (document) => kids.every((kid) => document.keys.some((key) => key.kid === kid)));
    const later = cleanup.add(await newGateway());
    expect(await callEverywhere('deleted-root', list, [...gateways, later])).to.deep.equal([200, 200, 200]);
  });

  it('are refused with a reason when their sandbox trusts a root that nobody has', async () => {
    const endpoints = [{ pathPrefix: '/', port: 9, protocol: 'HTTP' as const }];
    await sessions.create({ name: 'stranger', authMode: 'sojourn', rootKey: 'unknown', endpoints });
    await sessions.makeReady('stranger');
    const answer = await (gateways[0] as TestGateway).call(namespace.name, 'stranger', list);
    expect(answer).to.match(/^HTTP\/1\.1 503 .*"reason":"KeyNotReady"/s);
    expect(answer).to.match(/\r\nretry-after: 1\r\n/i);
  });
});
