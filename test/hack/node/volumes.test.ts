import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { until } from '../../support/until.ts';
import { isReady, type StoredPod, shell, useLocalNode } from './local-node.ts';

describe('volumes of the local node', () => {
  const node = useLocalNode();
  const ended = async (name: string) =>
    await node.podThat(name, 'has ended', ({ status }) => status.phase === 'Succeeded');

  before(async () => {
    await node.kubectl('create', 'configmap', 'settings', '--from-literal=mode=fast', '--from-literal=size=7');
    await node.kubectl('create', 'secret', 'generic', 'credentials', '--from-literal=token=s3cret');
  });

  it('emptyDir is shared by the containers of a Pod, lives through restarts and goes with the Pod', async () => {
    const volumeMounts = [{ name: 'scratch', mountPath: '/scratch' }];
    const writes = 'test -e /scratch/written && sleep 1000; echo here > /scratch/written; exit 1';
    const containers = [
      { name: 'main', image: 'local/process', ...shell(writes, { volumeMounts }) },
      {
        name: 'other',
        image: 'local/process',
        ...shell('until cat /scratch/written 2>/dev/null; do sleep 0.05; done; sleep 1000', { volumeMounts }),
      },
    ];
    await node.create('sharing', {}, { containers, volumes: [{ name: 'scratch', emptyDir: {} }] });
    const pod = await node.podThat('sharing', 'is ready again', (seen) => {
      return isReady(seen) === true && seen.status.containerStatuses?.[0]?.restartCount === 1;
    });
    await until(
      'the other to see it',
      async () => (await node.kubectl('logs', 'sharing', '-c', 'other')).stdout === 'here\n',
    );
    const folder = join(node.dir, 'pods', pod.metadata.uid, '.volumes', 'scratch');
    expect(await readFile(join(folder, 'written'), 'utf8')).to.equal('here\n');
    await node.kubectl('delete', 'pod', 'sharing', '--grace-period=1');
    await until('the folder to be gone', () => !existsSync(folder));
  });

  it('configMap, secret, downwardAPI and projected are files with their modes', async () => {
    const volumes = [
      { name: 'config', configMap: { name: 'settings', items: [{ key: 'mode', path: 'deep/mode' }] } },
      { name: 'secret', secret: { secretName: 'credentials', defaultMode: 0o400 } },
      {
        name: 'about',
        downwardAPI: {
          items: [
            { path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } },
            { path: 'memory', resourceFieldRef: { containerName: 'main', resource: 'limits.memory', divisor: '1Mi' } },
          ],
        },
      },
      {
        name: 'all',
        projected: {
          sources: [
            { configMap: { name: 'settings' } },
            { secret: { name: 'credentials', items: [{ key: 'token', path: 'my-token' }] } },
            { configMap: { name: 'nowhere', optional: true } },
          ],
        },
      },
      { name: 'perhaps', secret: { secretName: 'nowhere', optional: true } },
    ];
    const volumeMounts = volumes.map(({ name }) => ({ name, mountPath: `/volumes/${name}` }));
    const script = `cat /volumes/config/deep/mode; echo; stat -c %a /volumes/secret/token; cat /volumes/secret/token
echo; cat /volumes/about/labels /volumes/about/memory; echo; ls /volumes/all /volumes/perhaps | tr '\\n' ' '`;
    const body = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'reading', labels: { tier: 'gold', app: 'a "quoted" one'.replaceAll(/[ "]/g, '-') } },
      spec: {
        restartPolicy: 'Never',
        volumes,
        containers: [
          {
            name: 'main',
            image: 'local/process',
            ...shell(script),
            volumeMounts,
            resources: { limits: { memory: '64Mi' } },
          },
        ],
      },
    };
    await node.plane.client.request({ method: 'POST', path: `/api/v1/namespaces/${node.namespace}/pods`, body });
    await ended('reading');
    const lines = (await node.kubectl('logs', 'reading')).stdout.trim().split('\n');
    expect(lines.slice(0, 3)).to.deep.equal(['fast', '400', 's3cret']);
    expect(lines.slice(3, 5)).to.deep.equal(['app="a--quoted--one"', 'tier="gold"64']);
    const listing = lines[5] ?? '';
    for (const name of ['mode', 'size', 'my-token']) expect(listing).to.contain(` ${name} `);
    expect(listing).to.not.contain(' token ');
  });

  it('are found by the paths that the container was told, in command, arguments, environment and workingDir', async () => {
    const container = {
      ...shell('pwd; echo "$0 $1 $DATA $LIST $OTHER"; test -d "$DATA" && cat /data/sub/file', {
        args: ['/data/x', '--dir=/data'],
        workingDir: '/data/sub',
      }),
      env: [
        { name: 'DATA', value: '/data' },
        { name: 'LIST', value: '/usr/bin:/data/bin' },
        { name: 'OTHER', value: '/data2 /data.txt http://host/data' },
        { name: 'ROOT', value: '$(DATA)/sub' },
      ],
      volumeMounts: [
        { name: 'scratch', mountPath: '/data' },
        { name: 'scratch', mountPath: '/data/sub', subPath: 'inner' },
      ],
    };
    const file = {
      name: 'first',
      image: 'local/process',
      ...shell('echo content > $DATA/inner/file'),
      env: [{ name: 'DATA', value: '/data' }],
      volumeMounts: container.volumeMounts,
    };
    await node.create('told', container, {
      initContainers: [file],
      restartPolicy: 'Never',
      volumes: [{ name: 'scratch', emptyDir: {} }],
    });
    const pod = await ended('told');
    const [cwd, words, content] = (await node.kubectl('logs', 'told')).stdout.split('\n');
    const folder = join(node.dir, 'pods', pod.metadata.uid, '.volumes', 'scratch');
    expect(cwd).to.equal(`${folder}/inner`);
    expect(words).to.equal(
      `${folder}/x --dir=${folder} ${folder} /usr/bin:${folder}/bin /data2 /data.txt http://host/data`,
    );
    expect(content).to.equal('content');
  });

  it('that are missing something say FailedMount with the reason until it is there', async () => {
    const volumes = [{ name: 'late', secret: { secretName: 'late', items: [{ key: 'key', path: 'key' }] } }];
    await node.create(
      'patient',
      { command: ['sleep', '1000'], volumeMounts: [{ name: 'late', mountPath: '/late' }] },
      { volumes },
    );
    const waiting = await node.podThat('patient', 'waits', ({ status }) => status.containerStatuses !== undefined);
    expect(waiting.status.phase).to.equal('Pending');
    expect(waiting.status.containerStatuses?.[0]?.state.waiting?.reason).to.equal('ContainerCreating');
    await node.told('patient', 'FailedMount', 'MountVolume.SetUp failed for volume "late" : secret "late" not found');
    await node.kubectl('create', 'secret', 'generic', 'late', '--from-literal=other=1');
    await node.told('patient', 'FailedMount', 'references non-existent secret key: key');
    await node.kubectl('patch', 'secret', 'late', '-p', '{"stringData":{"key":"1"}}');
    await node.podThat('patient', 'is ready', isReady);
  });
});

describe('claims on the local node', () => {
  const node = useLocalNode();
  const claimed = { volumes: [{ name: 'workspace', persistentVolumeClaim: { claimName: 'files' } }] };
  const volumeMounts = [{ name: 'workspace', mountPath: '/workspace' }];
  const env = [{ name: 'SOJOURN_WORKSPACE', value: '/workspace' }];
  const claim = (name: string, more: object = {}) => ({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name, namespace: node.namespace },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, ...more },
  });
  const createClaim = async (name: string, more: object = {}) =>
    await node.plane.kubectl(['create', '-f', '-'], { stdin: JSON.stringify(claim(name, more)) });
  const field = async (kind: string, name: string, path: string) =>
    (await node.kubectl('get', kind, name, '-o', `jsonpath=${path}`)).stdout;
  const scheduled = ({ status }: StoredPod) => status.conditions?.find(({ type }) => type === 'PodScheduled');

  it('wait for a Pod, are Bound to a folder then, and keep its files over Pods', async () => {
    await createClaim('files');
    await node.create(
      'first',
      shell('echo kept > "$SOJOURN_WORKSPACE/file"; sleep 1000', { env, volumeMounts }),
      claimed,
    );
    await node.podThat('first', 'is ready', isReady);
    const table = (await node.kubectl('get', 'pvc')).stdout;
    expect(table).to.match(/files +Bound +pvc-\S+ +1Gi +RWO +local /);
    const volume = await field('pvc', 'files', '{.spec.volumeName}');
    const folder = await field('pv', volume, '{.spec.hostPath.path}');
    expect(folder).to.equal(join(node.dir, 'volumes', volume));
    await until('the file', () => existsSync(join(folder, 'file')));
    await node.kubectl('delete', 'pod', 'first', '--grace-period=1');
    await node.gone('first');
    await node.create('second', shell('cat /workspace/file; sleep 1000', { env, volumeMounts }), claimed);
    await node.podThat('second', 'is ready', isReady);
    await until('its output', async () => (await node.kubectl('logs', 'second')).stdout === 'kept\n');
  });

  it('stay over a restart of the node, and as long as a Pod uses them; then folder and volume go', async () => {
    const volume = await field('pvc', 'files', '{.spec.volumeName}');
    const folder = join(node.dir, 'volumes', volume);
    await node.kubectl('delete', 'pvc', 'files', '--wait=false');
    await node.restart();
    await node.podThat(
      'second',
      'runs again',
      (pod) => isReady(pod) && pod.status.containerStatuses?.[0]?.restartCount === 1,
    );
    expect(existsSync(join(folder, 'file'))).to.equal(true);
    expect(await field('pvc', 'files', '{.status.phase}')).to.equal('Bound');
    await node.kubectl('delete', 'pod', 'second', '--grace-period=1');
    await until('the folder to be gone', () => !existsSync(folder));
    await until('the volume to be gone', async () => (await node.kubectl('get', 'pv', volume)).code !== 0);
    expect((await node.kubectl('get', 'pvc', 'files')).code).to.not.equal(0);
  });

  it('that are not there or never bound keep a Pod unscheduled, with the scheduler’s reason', async () => {
    await node.create('early', { image: 'local/none', volumeMounts }, claimed);
    // At first the scheduler may know of the claim that went a moment ago.
    const isRefused = (pod: StoredPod) => scheduled(pod)?.message?.includes('"files" not found');
    const refused = await node.podThat('early', 'is refused', isRefused);
    expect(scheduled(refused)).to.include({
      reason: 'Unschedulable',
      message:
        '0/1 nodes are available: persistentvolumeclaim "files" not found. ' +
        'preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.',
    });
    await createClaim('files');
    await node.podThat('early', 'is ready', isReady);
    await createClaim('classless', { storageClassName: '' });
    const volumes = [{ name: 'workspace', persistentVolumeClaim: { claimName: 'classless' } }];
    await node.create('waiting', { image: 'local/none', volumeMounts }, { volumes });
    await node.told('waiting', 'FailedScheduling', 'pod has unbound immediate PersistentVolumeClaims');
  });

  it('of a Sandbox keep its files while it is suspended, and go with it', async () => {
    const container = {
      name: 'main',
      image: 'local/process',
      ...shell('cat /workspace/file; sleep 1000', { env, volumeMounts }),
    };
    const sandbox = {
      apiVersion: 'agents.x-k8s.io/v1beta1',
      kind: 'Sandbox',
      metadata: { name: 'box', namespace: node.namespace },
      spec: {
        podTemplate: { spec: { containers: [container], terminationGracePeriodSeconds: 1 } },
        volumeClaimTemplates: [{ metadata: { name: 'workspace' }, spec: claim('').spec }],
      },
    };
    await node.plane.kubectl(['create', '-f', '-'], { stdin: JSON.stringify(sandbox) });
    await until('the Pod', async () => (await node.kubectl('get', 'pod', 'box')).code === 0);
    await node.podThat('box', 'is ready', isReady);
    const folder = join(node.dir, 'volumes', await field('pvc', 'workspace-box', '{.spec.volumeName}'));
    await writeFile(join(folder, 'file'), 'of the box\n');
    const mode = async (operatingMode: string) =>
      await node.kubectl('patch', 'sandbox', 'box', '--type=merge', '-p', JSON.stringify({ spec: { operatingMode } }));
    await mode('Suspended');
    await node.gone('box');
    await mode('Running');
    await until('the Pod', async () => (await node.kubectl('get', 'pod', 'box')).code === 0);
    await node.podThat('box', 'is ready', isReady);
    await until('its output', async () => (await node.kubectl('logs', 'box')).stdout === 'of the box\n');
    await node.kubectl('delete', 'sandbox', 'box');
    await until('the folder to be gone', () => !existsSync(folder));
  });

  it('that are deleted while the node is down lose their folders at its next start', async () => {
    const volume = await field('pvc', 'files', '{.spec.volumeName}');
    const folder = join(node.dir, 'volumes', volume);
    expect(existsSync(folder)).to.equal(true);
    await node.restart(async () => {
      await node.kubectl('delete', 'pod', 'early', '--force', '--grace-period=0');
      await node.kubectl('delete', 'pvc', 'files');
    });
    await until('the folder to be gone', () => !existsSync(folder));
  });
});
