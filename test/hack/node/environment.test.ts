import { cpus } from 'node:os';
import { expect } from 'chai';
import { shell, useLocalNode } from './local-node.ts';

describe('a container’s environment on the local node', () => {
  const node = useLocalNode();

  /** Runs `env` in a Pod and returns what it printed. */
  const printed = async (name: string, container: Record<string, unknown>): Promise<Record<string, string>> => {
    await node.create(name, { command: ['env'], ...container }, { restartPolicy: 'Never' });
    await node.podThat(name, 'has ended', ({ status }) => status.phase === 'Succeeded');
    const { stdout } = await node.kubectl('logs', name);
    const lines = stdout.trimEnd().split('\n');
    return Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    );
  };

  before(async () => {
    await node.kubectl('create', 'configmap', 'settings', '--from-literal=mode=fast', '--from-literal=size=7');
    await node.kubectl('create', 'secret', 'generic', 'credentials', '--from-literal=token=s3cret');
  });

  it('has its values, with $(NAME) replaced by what was declared before it', async () => {
    const env = await printed('values', {
      env: [
        { name: 'GREETING', value: 'hello' },
        { name: 'SENTENCE', value: '$(GREETING) world' },
        { name: 'ESCAPED', value: '$$(GREETING)' },
        { name: 'UNKNOWN', value: '$(NOBODY) $(constructor)' },
        { name: 'SERVER', value: 'https://$(KUBERNETES_SERVICE_HOST):$(KUBERNETES_SERVICE_PORT)' },
        { name: 'EMPTY', value: '' },
      ],
    });
    expect(env).to.include({
      GREETING: 'hello',
      SENTENCE: 'hello world',
      ESCAPED: '$(GREETING)',
      UNKNOWN: '$(NOBODY) $(constructor)',
      SERVER: node.plane.controlPlane.server,
      EMPTY: '',
    });
  });

  it('has the Pod’s own fields', async () => {
    const paths = {
      NAME: 'metadata.name',
      NAMESPACE: 'metadata.namespace',
      UID_: 'metadata.uid',
      NODE: 'spec.nodeName',
      ACCOUNT: 'spec.serviceAccountName',
      POD_IP: 'status.podIP',
      POD_IPS: 'status.podIPs',
      HOST_IP: 'status.hostIP',
    };
    const env = await printed('fields', {
      env: Object.entries(paths).map(([name, fieldPath]) => ({ name, valueFrom: { fieldRef: { fieldPath } } })),
    });
    const { metadata, status } = await node.get('fields');
    expect(status.podIP).to.match(/^127\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.\d+\.\d+$/);
    expect(env).to.include({
      NAME: 'fields',
      NAMESPACE: node.namespace,
      UID_: metadata.uid,
      NODE: 'sojourn-local',
      ACCOUNT: 'default',
      POD_IP: status.podIP,
      POD_IPS: status.podIP,
      HOST_IP: '127.0.0.1',
    });
  });

  it('has labels and annotations by key', async () => {
    await node.plane.kubectl(['-n', node.namespace, 'create', '-f', '-'], {
      stdin: JSON.stringify({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'keys', labels: { 'example.com/tier': 'gold' }, annotations: { note: 'two words' } },
        spec: {
          restartPolicy: 'Never',
          containers: [
            {
              name: 'main',
              image: 'local/process',
              command: ['/bin/sh', '-c', 'echo "$TIER,$NOTE,$NONE"'],
              env: [
                { name: 'TIER', valueFrom: { fieldRef: { fieldPath: "metadata.labels['example.com/tier']" } } },
                { name: 'NOTE', valueFrom: { fieldRef: { fieldPath: "metadata.annotations['note']" } } },
                { name: 'NONE', valueFrom: { fieldRef: { fieldPath: "metadata.labels['none']" } } },
              ],
            },
          ],
        },
      }),
    });
    await node.podThat('keys', 'has ended', ({ status }) => status.phase === 'Succeeded');
    expect((await node.kubectl('logs', 'keys')).stdout).to.equal('gold,two words,\n');
  });

  it('has keys of Secrets and ConfigMaps, and leaves out optional ones that are not there', async () => {
    const env = await printed('references', {
      envFrom: [
        { configMapRef: { name: 'settings' }, prefix: 'SET_' },
        { secretRef: { name: 'nowhere', optional: true } },
      ],
      env: [
        { name: 'TOKEN', valueFrom: { secretKeyRef: { name: 'credentials', key: 'token' } } },
        { name: 'MODE', valueFrom: { configMapKeyRef: { name: 'settings', key: 'mode' } } },
        { name: 'NO_KEY', valueFrom: { secretKeyRef: { name: 'credentials', key: 'none', optional: true } } },
        { name: 'NO_MAP', valueFrom: { configMapKeyRef: { name: 'nowhere', key: 'none', optional: true } } },
        { name: 'SET_size', value: 'overridden' },
      ],
    });
    expect(env).to.include({ SET_mode: 'fast', SET_size: 'overridden', TOKEN: 's3cret', MODE: 'fast' });
    expect(env).to.not.have.any.keys('NO_KEY', 'NO_MAP');
  });

  it('has the container’s own requests and limits, and the node’s for a limit that is not set', async () => {
    const resource = (name: string, divisor?: string) => ({
      valueFrom: { resourceFieldRef: { resource: name, ...(divisor === undefined ? {} : { divisor }) } },
    });
    const env = await printed('resources', {
      resources: { requests: { cpu: '100m' }, limits: { memory: '512Mi' } },
      env: [
        { name: 'BYTES', ...resource('limits.memory') },
        { name: 'MEGABYTES', ...resource('limits.memory', '1Mi') },
        { name: 'CORES', ...resource('requests.cpu') },
        { name: 'MILLICORES', ...resource('requests.cpu', '1m') },
        { name: 'ALL_CORES', ...resource('limits.cpu') },
      ],
    });
    expect(env).to.include({ BYTES: '536870912', MEGABYTES: '512', CORES: '1', MILLICORES: '100' });
    expect(env.ALL_CORES).to.equal(String(cpus().length));
  });

  it('inherits nothing of the machine’s own but PATH', async () => {
    const env = await printed('clean', {});
    expect(Object.keys(env).sort()).to.deep.equal([
      'HOME',
      'HOSTNAME',
      'KUBERNETES_SERVICE_HOST',
      'KUBERNETES_SERVICE_PORT',
      'LANG',
      'PATH',
      'SOJOURN_CONTAINER',
      'SOJOURN_POD_UID',
      'TMPDIR',
    ]);
    expect(env.HOSTNAME).to.equal('clean');
    expect(env.HOME).to.satisfy((home: string) => home.startsWith(node.dir));
  });

  it('expands $(NAME) in command and arguments, and starts in its own workspace', async () => {
    const container = shell('echo "$0 $1"; pwd; touch here; echo ~', {
      args: ['$(WHO)', '$$(WHO)'],
      env: [{ name: 'WHO', value: 'you' }],
      workingDir: '/deep/../in/it',
    });
    await node.create('arguments', container, { restartPolicy: 'Never' });
    await node.podThat('arguments', 'has ended', ({ status }) => status.phase === 'Succeeded');
    const [words, directory, home] = (await node.kubectl('logs', 'arguments')).stdout.split('\n');
    expect(words).to.equal('you $(WHO)');
    expect(directory).to.equal(`${home}/workspace/in/it`);
    expect(home).to.satisfy((folder: string) => folder.startsWith(node.dir));
  });

  it('says CreateContainerConfigError until a missing Secret is there', async () => {
    await node.create('patient', {
      command: ['sleep', '1000'],
      env: [{ name: 'KEY', valueFrom: { secretKeyRef: { name: 'late', key: 'key' } } }],
    });
    const waiting = await node.podThat(
      'patient',
      'waits',
      ({ status }) => status.containerStatuses?.[0]?.state.waiting?.reason === 'CreateContainerConfigError',
    );
    expect(waiting.status.phase).to.equal('Pending');
    expect(waiting.status.containerStatuses?.[0]?.state.waiting?.message).to.equal('secret "late" not found');
    await node.kubectl('create', 'secret', 'generic', 'late', '--from-literal=other=1');
    await node.podThat('patient', 'misses the key', ({ status }) =>
      status.containerStatuses?.[0]?.state.waiting?.message?.includes("couldn't find key key in Secret"),
    );
    await node.kubectl('patch', 'secret', 'late', '-p', '{"stringData":{"key":"1"}}');
    await node.podThat('patient', 'runs', ({ status }) => status.phase === 'Running');
  });
});
