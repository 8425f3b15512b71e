import { existsSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { until } from '../../support/until.ts';
import { isReady, type StoredPod, useLocalNode } from './local-node.ts';

const serve = `
const { createServer } = require('node:http');
const { existsSync } = require('node:fs');
createServer((request, response) => {
  response.statusCode = existsSync('broken') ? 500 : 200;
  response.end('well');
}).listen(8080, process.env.POD_IP);
`;
const server = {
  command: [process.execPath, '-e', serve],
  env: [{ name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } }],
  ports: [{ name: 'http', containerPort: 8080 }],
};
/** A check that takes its time on a busy machine has not failed. */
const quick = { periodSeconds: 1, timeoutSeconds: 20, failureThreshold: 1 };

describe('readiness probes on the local node', () => {
  const node = useLocalNode();
  const workspace = (pod: StoredPod) => join(node.dir, 'pods', pod.metadata.uid, 'main', 'home', 'workspace');
  const notReady = (pod: StoredPod) => isReady(pod) === false;

  it('make a Pod ready when it answers, unready when it does not, and ready again', async () => {
    await node.create('http', { ...server, readinessProbe: { ...quick, httpGet: { path: '/health', port: 'http' } } });
    const pod = await node.podThat('http', 'is ready', isReady);
    const answer = await fetch(`http://${pod.status.podIP}:8080/`);
    expect(await answer.text()).to.equal('well');
    await writeFile(join(workspace(pod), 'broken'), '');
    const broken = await node.podThat('http', 'is not ready', notReady);
    expect(broken.status.conditions?.find(({ type }) => type === 'Ready')).to.include({
      reason: 'ContainersNotReady',
      message: 'containers with unready status: [main]',
    });
    expect(broken.status.containerStatuses?.[0]?.restartCount).to.equal(0);
    await node.told('http', 'Unhealthy', 'Readiness probe failed: HTTP probe failed with statuscode: 500');
    await rm(join(workspace(pod), 'broken'));
    await node.podThat('http', 'is ready again', isReady);
  });

  it('give each Pod its own address, so that two can listen on one port', async () => {
    await node.create('second', { ...server, readinessProbe: { ...quick, tcpSocket: { port: 8080 } } });
    const second = await node.podThat('second', 'is ready', isReady);
    const first = await node.get('http');
    expect(second.status.podIP).to.not.equal(first.status.podIP);
    expect((await fetch(`http://${second.status.podIP}:8080/`)).status).to.equal(200);
  });

  it('run commands in the container’s folder', async () => {
    const readinessProbe = { ...quick, exec: { command: ['test', '-e', 'ready'] } };
    await node.create('exec', { command: ['sleep', '1000'], readinessProbe });
    const pod = await node.podThat('exec', 'runs', ({ status }) => status.phase === 'Running');
    expect(isReady(pod)).to.equal(false);
    await writeFile(join(workspace(pod), 'ready'), '');
    await node.podThat('exec', 'is ready', isReady);
  });

  it('say why a Pod that nobody answers for is not ready', async () => {
    const readinessProbe = { ...quick, httpGet: { port: 9 } };
    await node.create('silent', { command: ['sleep', '1000'], readinessProbe });
    const pod = await node.podThat('silent', 'runs', ({ status }) => status.phase === 'Running');
    const message = `dial tcp ${pod.status.podIP}:9: connect: connection refused`;
    await until('the Event', async () => (await node.kubectl('get', 'events')).stdout.includes(message));
    expect(isReady(await node.get('silent'))).to.equal(false);
  });
});

describe('startup and liveness probes on the local node', () => {
  const node = useLocalNode({ backoff: { firstMs: 100, longestMs: 400 } });
  const workspace = (pod: StoredPod) => join(node.dir, 'pods', pod.metadata.uid, 'main', 'home', 'workspace');
  const fails = (file: string) => ({
    ...quick,
    exec: { command: ['/bin/sh', '-c', `! test -e ${file} || { echo ${file}; exit 1; }`] },
  });
  const succeeds = (file: string) => ({ ...quick, exec: { command: ['test', '-e', file] } });
  const main = (pod: StoredPod) => pod.status.containerStatuses?.[0];

  it('end a container that is alive no more, which starts again', async () => {
    const script = 'rm -f stuck; trap "" TERM; touch begun; while :; do sleep 0.1; done';
    // The script begins anew in the same folder, and needs a moment to clear it.
    const livenessProbe = { ...fails('stuck'), failureThreshold: 5, terminationGracePeriodSeconds: 1 };
    await node.create('alive', { command: ['/bin/sh', '-c', script], livenessProbe });
    const pod = await node.podThat('alive', 'is ready', isReady);
    await until('the script to have begun', () => existsSync(join(workspace(pod), 'begun')));
    await writeFile(join(workspace(pod), 'stuck'), '');
    const again = await node.podThat('alive', 'runs again', (seen) => main(seen)?.restartCount === 1 && isReady(seen));
    expect(main(again)?.lastState.terminated).to.include({ exitCode: 137, reason: 'Error' });
    await node.told('alive', 'Unhealthy', 'Liveness probe failed: stuck');
    await node.told('alive', 'Killing', 'Container main failed liveness probe, will be restarted');
  });

  it('fail a Pod that is never restarted', async () => {
    const livenessProbe = { ...quick, tcpSocket: { port: 9 } };
    await node.create('dead', { command: ['sleep', '1000'], livenessProbe }, { restartPolicy: 'Never' });
    const pod = await node.podThat('dead', 'has failed', ({ status }) => status.phase === 'Failed');
    expect(main(pod)?.state.terminated).to.include({ exitCode: 143, reason: 'Error' });
    await node.told('dead', 'Killing', 'Container main failed liveness probe');
  });

  it('hold the others back until the container has started', async () => {
    const probes = {
      startupProbe: { ...succeeds('started'), failureThreshold: 1000 },
      livenessProbe: succeeds('started'),
    };
    await node.create('slow', { command: ['sleep', '1000'], ...probes });
    const pod = await node.podThat('slow', 'runs', ({ status }) => status.phase === 'Running');
    expect(main(pod)).to.include({ started: false, ready: false });
    await node.told('slow', 'Unhealthy', 'Startup probe failed');
    await writeFile(join(workspace(pod), 'started'), '');
    const ready = await node.podThat('slow', 'is ready', isReady);
    expect(main(ready)).to.include({ started: true, restartCount: 0 });
  });

  it('end a container that does not start in time', async () => {
    await node.create('never', { command: ['sleep', '1000'], startupProbe: succeeds('started') });
    await node.podThat('never', 'runs again', (seen) => (main(seen)?.restartCount ?? 0) > 0);
    await node.told('never', 'Killing', 'Container main failed startup probe, will be restarted');
  });
});
