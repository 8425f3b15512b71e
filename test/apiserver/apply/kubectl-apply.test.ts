import { expect } from 'chai';
import type { Session } from '../../../apis/v1alpha1/types.ts';
import { twinGroup } from '../../../hack/twin/definition.ts';
import { useCluster } from '../../support/cluster.ts';
import { until } from '../../support/until.ts';
import { differencesBetween } from '../differential/support/differences.ts';
import { useTwin } from '../differential/support/twin.ts';
import { compared, ownersOf } from './support/kubectl-output.ts';

interface Command {
  args: string[];
  /** What is piped into it, as JSON. */
  stdin?: object;
  env?: Record<string, string>;
}

/** What a command said, without what must differ. */
interface Said {
  code: number;
  stdout: string;
  stderr: string;
}

const groups = { session: 'sojourn.dev', twin: twinGroup };
type SideName = keyof typeof groups;

describe('kubectl apply and its kin, on a session and on a custom resource', function () {
  this.timeout(300_000);
  const env = useCluster();
  useTwin(env);
  const space = env.namespace('kubectl-apply');

  const type = (side: SideName) => `sessions.v1alpha1.${groups[side]}`;
  const read = async (side: SideName, name: string) =>
    JSON.parse(
      (await run({ args: ['get', type(side), name, '-o', 'json', '--show-managed-fields'] })).stdout,
    ) as Session;
  const run = async ({ args, stdin, env: variables }: Command) =>
    await env.kubectl([...args, '-n', space.name], {
      ...(stdin === undefined ? {} : { stdin: JSON.stringify(stdin) }),
      ...(variables === undefined ? {} : { env: variables }),
    });
  const manifest = (side: SideName, name: string, change: { metadata?: object; spec?: object } = {}) => ({
    apiVersion: `${groups[side]}/v1alpha1`,
    kind: 'Session',
    metadata: { name, ...change.metadata },
    spec: { runtimeRef: { kind: 'CodeInterpreter', name: 'none' }, suspended: true, ...change.spec },
  });
  const atRest = async (name: string) =>
    await until(`${name} to be held`, async () => {
      const first = await read('session', name);
      const second = await read('session', name);
      const isStill = first.metadata.resourceVersion === second.metadata.resourceVersion;
      return second.status?.phase === 'Suspended' && isStill ? second : undefined;
    });

  /** Runs commands one after the other on both sides; they must say the same and leave the same. Returns what was said. */
  const both = async (name: string, commands: readonly ((side: SideName) => Command)[]): Promise<Said[]> => {
    const sides = await Promise.all(
      (['session', 'twin'] as const).map(async (side) => {
        const said: Said[] = [];
        for (const command of commands) {
          said.push(compared(await run(command(side)), groups[side]));
          if (side === 'session') await atRest(name);
        }
        return { said, owners: ownersOf(await read(side, name), groups[side]) };
      }),
    );
    const [session, twin] = sides;
    expect(differencesBetween(session, twin).join('\n')).to.equal('');
    return session?.said ?? [];
  };
  const apply =
    (name: string, change: object, ...options: string[]) =>
    (side: SideName) => ({
      args: ['apply', '-f', '-', ...options],
      stdin: manifest(side, name, change),
    });
  const on =
    (verb: string, name: string, ...options: string[]) =>
    (side: SideName) => ({
      args: [verb, type(side), name, ...options],
    });
  const outputs = (said: readonly Said[]) => said.map(({ stdout }) => stdout.trim());

  it('applies on the client’s side: created, unchanged, configured, and what is left out goes', async () => {
    const said = await both('client', [
      apply('client', { metadata: { labels: { a: '1', b: '1' } }, spec: { idleTimeout: '5m' } }),
      apply('client', { metadata: { labels: { a: '1', b: '1' } }, spec: { idleTimeout: '5m' } }),
      apply('client', { metadata: { labels: { b: '2' } } }),
      (side) => ({ args: ['apply', 'view-last-applied', type(side), 'client', '-o', 'json'] }),
      (side) => ({
        args: ['apply', 'set-last-applied', '-f', '-'],
        stdin: manifest(side, 'client', { metadata: { labels: { c: '3' } } }),
      }),
      (side) => ({ args: ['apply', 'view-last-applied', type(side), 'client'] }),
    ]);
    expect(outputs(said).slice(0, 3)).to.deep.equal([
      'session.GROUP/client created',
      'session.GROUP/client unchanged',
      'session.GROUP/client configured',
    ]);
    const { metadata, spec } = await read('session', 'client');
    expect(metadata.labels).to.deep.equal({ b: '2' });
    expect(spec.idleTimeout).to.equal('15m');
    expect(said[3]?.stdout).to.contain('"b": "2"');
  });

  it('applies on the server’s side: creates, changes, finds conflicts, and takes fields by force', async () => {
    const said = await both('server', [
      apply('server', { metadata: { labels: { a: '1' } }, spec: { idleTimeout: '5m' } }, '--server-side'),
      apply('server', { metadata: { labels: { a: '1' } }, spec: { idleTimeout: '5m' } }, '--server-side'),
      on('label', 'server', 'a=2', '--overwrite'),
      on('annotate', 'server', 'note=hello'),
      apply('server', { metadata: { labels: { a: '3' } }, spec: { idleTimeout: '5m' } }, '--server-side'),
      apply('server', { metadata: { labels: { a: '3' } } }, '--server-side', '--force-conflicts'),
      apply('server', { spec: { idleTimeout: '7m' } }, '--server-side', '--field-manager=ci', '--dry-run=server'),
      apply('server', { spec: { idleTimeout: '7m' } }, '--server-side', '--field-manager=ci'),
      apply('server', { spec: { idleTimeout: '8m' } }, '--server-side'),
      apply('server', {}, '--server-side', '--validate=strict', '--field-manager=ci'),
    ]);
    expect(said[4]?.code).to.equal(1);
    expect(said[4]?.stderr).to.contain('conflict with "kubectl-label" using GROUP/v1alpha1: .metadata.labels.a');
    expect(said[8]?.stderr).to.contain('conflict with "ci": .spec.idleTimeout');
    expect((await read('session', 'server')).metadata.labels).to.deep.equal({ a: '3' });
  });

  it('moves from the client’s side to the server’s, and back', async () => {
    const said = await both('moving', [
      apply('moving', { metadata: { labels: { a: '1', b: '1' } }, spec: { idleTimeout: '5m' } }),
      apply('moving', { metadata: { labels: { a: '2' } }, spec: { idleTimeout: '6m' } }, '--server-side'),
      (side) => ({ args: ['apply', 'view-last-applied', type(side), 'moving', '-o', 'json'] }),
      apply('moving', { metadata: { labels: { a: '2', c: '1' } } }, '--server-side'),
      apply('moving', { metadata: { labels: { a: '5' } } }),
    ]);
    expect(said.map(({ code }) => code)).to.deep.equal([0, 0, 0, 0, 0]);
    expect((await read('session', 'moving')).metadata.labels).to.deep.equal({ a: '5' });
  });

  it('shows differences before they are made', async () => {
    const said = await both('differing', [
      apply('differing', { metadata: { labels: { a: '1' } } }),
      (side) => ({
        args: ['diff', '-f', '-'],
        stdin: manifest(side, 'differing', { metadata: { labels: { a: '1' } } }),
      }),
      (side) => ({
        args: ['diff', '-f', '-'],
        stdin: manifest(side, 'differing', { metadata: { labels: { a: '2' } }, spec: { idleTimeout: '6m' } }),
      }),
      (side) => ({
        args: ['diff', '--server-side', '--field-manager=kubectl', '-f', '-'],
        stdin: manifest(side, 'differing', { metadata: { labels: { a: '1', d: '1' } } }),
      }),
    ]);
    expect(said.map(({ code }) => code)).to.deep.equal([0, 0, 1, 1]);
    expect(said[2]?.stdout).to.contain('+  idleTimeout: 6m');
  });

  it('edits, replaces, and patches', async () => {
    const said = await both('edited', [
      apply('edited', { metadata: { labels: { a: '1' } }, spec: { idleTimeout: '5m' } }),
      (side) => ({ args: ['edit', type(side), 'edited'], env: { KUBE_EDITOR: 'sed -i s/5m/6m/' } }),
      (side) => ({ args: ['edit', type(side), 'edited'], env: { KUBE_EDITOR: 'true' } }),
      (side) => ({
        args: ['replace', '-f', '-'],
        stdin: manifest(side, 'edited', { metadata: { labels: { r: '1' } }, spec: { idleTimeout: '9m' } }),
      }),
      on('patch', 'edited', '--type=merge', '-p', '{"spec":{"idleAction":"Suspend"}}'),
      on('patch', 'edited', '--type=json', '-p', '[{"op":"remove","path":"/metadata/labels/r"}]'),
    ]);
    expect(said[1]?.stdout).to.contain('session.GROUP/edited edited');
    expect(said[2]?.stderr).to.contain('Edit cancelled, no changes made.');
    expect((await read('session', 'edited')).spec).to.include({ idleTimeout: '9m', idleAction: 'Suspend' });
  });
});
