import { expect } from 'chai';
import { useControlPlane, useNamespace } from '../../support/control-plane.ts';
import { until } from '../../support/until.ts';
import { Cleanup } from '../support/cleanup.ts';
import { type CallOptions, startGateway, type TestGateway } from '../support/gateway.ts';
import { codeOf, jsonOf } from '../support/raw-client.ts';
import { TestSessions } from '../support/sessions.ts';
import { startPicod, usePicod } from './support/picod.ts';
import { KeySecrets } from './support/rings.ts';

const picodKeys = 'sojourn-picod-keys';
const execute: CallOptions = {
  method: 'POST',
  target: '/api/execute',
  headers: ['Content-Type: application/json'],
  body: JSON.stringify({ command: ['echo', 'hello'] }),
};

describe('AgentCube’s own PicoD', () => {
  const plane = useControlPlane();
  const namespace = useNamespace(plane);
  const picod = usePicod();
  const cleanup = new Cleanup();
  const secrets = new KeySecrets(plane, () => namespace.name);
  let sessions: TestSessions;
  let gateway: TestGateway;

  before(async () => {
    sessions = new TestSessions(plane.client, () => namespace.name);
    gateway = await newGateway();
  });

  after(async () => await gateway.stop());

  async function newGateway(): Promise<TestGateway> {
    const keyTimes = { rotateAfterMs: 3_600_000, announceMs: 200 };
    return await startGateway({
      client: plane.client,
      readyTimeoutMs: 10_000,
      settings: { keyTimes },
      keyNamespace: namespace.name,
    });
  }

  async function startSession(name: string): Promise<number> {
    const { picodKey } = gateway.path.keys.trustAnchors();
    const { port } = cleanup.add(await startPicod(picod.file, picodKey));
    await sessions.create({
      name,
      authMode: 'picod',
      picodKey,
      endpoints: [{ pathPrefix: '/', port, protocol: 'HTTP' }],
    });
    await sessions.makeReady(name);
    return port;
  }

  const call = async (name: string, through = gateway) => await through.call(namespace.name, name, execute);

  it('accepts the tokens that it is shown, and nobody without one', async () => {
    const port = await startSession('accepted');
    expect(jsonOf(await call('accepted'))).to.include({ stdout: 'hello\n', exit_code: 0 });
    const direct = await fetch(`http://127.0.0.1:${port}/api/files?path=.`);
    expect(direct.status).to.equal(401);
  });

  it('keeps its key when there is a new one, which is for new sessions', async () => {
    await startSession('old');
    const { picodKey: old } = gateway.path.keys.trustAnchors();
    expect(codeOf(await call('old'))).to.equal(200);
    await secrets.askForRotation(picodKeys);
    await until('the new key', () => gateway.path.keys.trustAnchors().picodKey !== old);
    await startSession('new');
    const later = cleanup.add(await newGateway());
    for (const name of ['old', 'new']) {
      expect(codeOf(await call(name)), name).to.equal(200);
      expect(codeOf(await call(name, later)), name).to.equal(200);
    }
  });

  it('keeps its key when the Secret is deleted', async () => {
    await startSession('deleted');
    const { keys } = await secrets.read(picodKeys);
    await secrets.delete(picodKeys);
    await secrets.until(picodKeys, (document) => document.keys.length > keys.length);
    const later = cleanup.add(await newGateway());
    for (const through of [gateway, later]) expect(codeOf(await call('deleted', through))).to.equal(200);
  });

  it('is not sent a token that another key would have to verify: 503 with the Secret that lacks its key', async () => {
    const { port } = cleanup.add(await startPicod(picod.file, gateway.path.keys.trustAnchors().picodKey));
    const endpoints = [{ pathPrefix: '/', port, protocol: 'HTTP' as const }];
    await sessions.create({ name: 'stranger', authMode: 'picod', picodKey: 'unknown', endpoints });
    await sessions.makeReady('stranger');
    expect(jsonOf<{ message: string }>(await call('stranger')).message).to.contain(picodKeys);
  });
});
