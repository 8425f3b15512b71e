import { join } from 'node:path';
import { expect } from 'chai';
import { until } from '../../support/until.ts';
import { isReady, type StoredPod, shell, useLocalNode } from './local-node.ts';
import { isAlive, pidsIn } from './processes.ts';

/** Takes memory until it is killed. */
const greedy = "let all = []; setInterval(() => all.push(Buffer.alloc(8 * 1024 * 1024, 'x')), 5)";

describe('the end of a container on the local node', () => {
  const node = useLocalNode({ backoff: { firstMs: 100, longestMs: 400 } });
  const main = (pod: StoredPod) => pod.status.containerStatuses?.[0];
  const ended = async (name: string) =>
    await node.podThat(name, 'has ended', ({ status }) => ['Succeeded', 'Failed'].includes(status.phase ?? ''));
  const workspace = (pod: StoredPod) => join(node.dir, 'pods', pod.metadata.uid, 'main', 'home', 'workspace');

  it('is OOMKilled with all its processes when it takes more memory than its limit', async () => {
    const script = `sleep 1000 & echo $! >> pids; exec "$NODE" -e "${greedy}"`;
    const env = [{ name: 'NODE', value: process.execPath }];
    const limited = shell(script, { env, resources: { limits: { memory: '128Mi' } } });
    const created = await node.create('greedy', limited, { restartPolicy: 'Never' });
    const pod = await ended('greedy');
    expect(main(pod)?.state.terminated).to.include({ reason: 'OOMKilled', exitCode: 137 });
    expect(pod.status.phase).to.equal('Failed');
    const [child = 0] = await pidsIn(join(workspace(created), 'pids'), 1);
    expect(await isAlive(child)).to.equal(false);
  });

  it('is OOMKilled too when it was not its first process that took the memory', async () => {
    const env = [{ name: 'NODE', value: process.execPath }];
    const resources = { limits: { memory: '128Mi' } };
    const container = shell(`"$NODE" -e "${greedy}"; sleep 1000`, { env, resources });
    await node.create('parent', container, { restartPolicy: 'Never' });
    expect(main(await ended('parent'))?.state.terminated).to.include({ reason: 'OOMKilled', exitCode: 137 });
  });

  it('is a StartError for a command that is not there, limited or not', async () => {
    const resources = { limits: { memory: '64Mi' } };
    await node.create('absent', { command: ['no-such-program'], resources }, { restartPolicy: 'Never' });
    const end = main(await ended('absent'))?.state.terminated;
    expect(end).to.include({ exitCode: 128, reason: 'StartError' });
    expect(end?.message).to.contain('"no-such-program": executable file not found in $PATH');
  });

  it('leaves containers within their limit alone, and starts one anew that was killed', async () => {
    const resources = { limits: { memory: '256Mi' } };
    const flag = 'if [ -e was ]; then sleep 1000; fi; touch was; exec "$NODE" -e "$GREEDY"';
    const env = [
      { name: 'NODE', value: process.execPath },
      { name: 'GREEDY', value: greedy },
    ];
    await node.create('again', shell(flag, { env, resources }));
    const pod = await node.podThat('again', 'runs again', (seen) => main(seen)?.restartCount === 1 && isReady(seen));
    expect(main(pod)?.lastState.terminated).to.include({ reason: 'OOMKilled', exitCode: 137 });
    expect((await node.kubectl('describe', 'pod', 'again')).stdout).to.contain('OOMKilled');
  });

  it('has the message that was written to its termination message path', async () => {
    await node.create('speaking', shell('echo "the disk is full" > /dev/termination-log; exit 3'), {
      restartPolicy: 'Never',
    });
    const container = shell('echo fine > "$LOG"', {
      terminationMessagePath: '/var/last',
      env: [{ name: 'LOG', value: '/var/last' }],
    });
    await node.create('elsewhere', container, { restartPolicy: 'Never' });
    expect(main(await ended('speaking'))?.state.terminated).to.include({ exitCode: 3, message: 'the disk is full\n' });
    expect(main(await ended('elsewhere'))?.state.terminated).to.include({ exitCode: 0, message: 'fine\n' });
  });

  it('falls back to the end of the log only when it failed and was asked to', async () => {
    const terminationMessagePolicy = 'FallbackToLogsOnError';
    const script = 'i=0; while [ $i -lt 100 ]; do echo line $i; i=$((i + 1)); done; exit';
    const never = { restartPolicy: 'Never' } as const;
    await node.create('failing', shell(`${script} 1`, { terminationMessagePolicy }), never);
    await node.create('succeeding', shell(`${script} 0`, { terminationMessagePolicy }), never);
    await node.create('silent', shell(`${script} 1`), never);
    const message = main(await ended('failing'))?.state.terminated?.message ?? '';
    expect(message.startsWith('line 20\n')).to.equal(true);
    expect(message.endsWith('line 99\n')).to.equal(true);
    expect(main(await ended('succeeding'))?.state.terminated).to.not.have.property('message');
    expect(main(await ended('silent'))?.state.terminated).to.not.have.property('message');
  });

  it('is preceded by its preStop hook, within the grace', async () => {
    const lifecycle = { preStop: { exec: { command: ['/bin/sh', '-c', 'echo hook >> order'] } } };
    const script = 'trap "echo term >> order; cat order; exit 0" TERM; echo $$$$ > pids; while :; do sleep 0.05; done';
    const created = await node.create('hooked', shell(script, { lifecycle }));
    await node.podThat('hooked', 'is ready', isReady);
    await pidsIn(join(workspace(created), 'pids'), 1);
    await node.kubectl('patch', 'pod', 'hooked', '-p', '{"metadata":{"finalizers":["example.com/look"]}}');
    await node.kubectl('delete', 'pod', 'hooked', '--wait=false');
    await node.podThat('hooked', 'has ended', ({ status }) => status.phase === 'Succeeded');
    expect((await node.kubectl('logs', 'hooked')).stdout).to.match(/hook\nterm\n$/);
    await node.kubectl('patch', 'pod', 'hooked', '-p', '{"metadata":{"finalizers":null}}');
    await node.gone('hooked');
  });

  it('comes at the end of the grace although the preStop hook hangs', async () => {
    const lifecycle = { preStop: { sleep: { seconds: 1000 } } };
    await node.create('hanging', { command: ['sleep', '1000'], lifecycle }, { terminationGracePeriodSeconds: 1000 });
    await node.podThat('hanging', 'is ready', isReady);
    await node.kubectl('delete', 'pod', 'hanging', '--grace-period=1');
    await node.gone('hanging');
  });

  it('follows a postStart hook that failed', async () => {
    const lifecycle = { postStart: { exec: { command: ['/bin/sh', '-c', 'echo broken; exit 4'] } } };
    await node.create('unstarted', { command: ['sleep', '1000'], lifecycle }, { restartPolicy: 'Never' });
    expect(main(await ended('unstarted'))?.state.terminated).to.include({ exitCode: 143 });
    await node.told('unstarted', 'FailedPostStartHook', 'broken');
    await node.told('unstarted', 'Killing', 'FailedPostStartHook');
  });

  it('of one of several containers leaves the others running', async () => {
    const containers = [
      { name: 'main', image: 'local/process', command: ['sleep', '1000'] },
      { name: 'short', image: 'local/process', ...shell('exit 5') },
    ];
    await node.create('pair', {}, { containers, restartPolicy: 'Never' });
    const pod = await node.podThat('pair', 'is half ended', ({ status }) => {
      return status.containerStatuses?.[1]?.state.terminated !== undefined;
    });
    expect(pod.status.phase).to.equal('Running');
    expect(main(pod)?.state.running).to.not.equal(undefined);
    expect(isReady(pod)).to.equal(false);
    await until('both to be told', async () => (await node.kubectl('get', 'pod', 'pair')).stdout.includes('1/2'));
  });
});
