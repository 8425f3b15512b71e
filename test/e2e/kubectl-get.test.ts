import { expect } from 'chai';
import type { Session } from '../../apis/v1alpha1/types.ts';
import { sessionsPath } from '../support/caller.ts';
import { useCluster } from '../support/cluster.ts';
import { until } from '../support/until.ts';

describe('kubectl get', () => {
  const env = useCluster();
  const space = env.namespace('kubectl-get');

  const kubectl = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await env.kubectl(['-n', space.name, ...args]);
    expect(code, stderr).to.equal(0);
    return stdout;
  };
  const lines = (text: string) => text.trimEnd().split('\n');
  const rows = (text: string) => lines(text).map((line) => line.split(/ {2,}/));
  const column = (text: string, at: number) =>
    rows(text)
      .slice(1)
      .map((cells) => cells[at]);

  before(async function () {
    this.timeout(60_000);
    for (const [name, suspended, tier] of [
      ['b', true, 'back'],
      ['a', true, 'front'],
      ['c', false, 'back'],
    ] as const) {
      const runtimeRef = { kind: 'CodeInterpreter', name: 'none' };
      const body = {
        apiVersion: 'sojourn.dev/v1alpha1',
        kind: 'Session',
        metadata: { name, labels: { tier } },
        spec: { runtimeRef, suspended },
      };
      await env.client.request({ method: 'POST', path: sessionsPath(space.name), body });
    }
    await until('the sessions to be at rest', async () => {
      const { items } = await env.client.request<{ items: Session[] }>({ path: sessionsPath(space.name) });
      const phases = items.map(({ status }) => status?.phase);
      return phases.join() === 'Suspended,Suspended,Ready';
    });
  });

  it('prints a table, by every name of the resource', async () => {
    for (const name of ['sessions', 'session', 'sess', 'sessions.sojourn.dev', 'sessions.v1alpha1.sojourn.dev']) {
      const [head, ...body] = rows(await kubectl('get', name));
      expect(head).to.deep.equal(['NAME', 'RUNTIME', 'PHASE', 'IDLE', 'EXPIRES', 'AGE']);
      expect(body.map((cells) => cells.slice(0, 3))).to.deep.equal([
        ['a', 'none', 'Suspended'],
        ['b', 'none', 'Suspended'],
        ['c', 'none', 'Ready'],
      ]);
      for (const cells of body) for (const cell of cells.slice(3)) expect(cell).to.match(/^(\d+[smhd])+$/);
    }
  });

  it('prints more columns when asked for a wide table', async () => {
    const [head, ...body] = rows(await kubectl('get', 'sess', '-o', 'wide'));
    expect(head?.slice(6)).to.deep.equal(['USER', 'START', 'NODE', 'ADDRESS']);
    expect(body[0]?.slice(6)).to.deep.equal(['admin', 'Cold', '<none>', '<none>']);
    expect(body[2]?.slice(6, 8)).to.deep.equal(['admin', 'Cold']);
    expect(body[2]?.[9]).to.match(/^127\./);
  });

  it('prints one session, names, labels, and no heading', async () => {
    expect(column(await kubectl('get', 'sess', 'b'), 0)).to.deep.equal(['b']);
    expect(lines(await kubectl('get', 'sess', '-o', 'name'))).to.deep.equal(
      ['a', 'b', 'c'].map((name) => `session.sojourn.dev/${name}`),
    );
    expect(rows(await kubectl('get', 'sess', '--show-labels'))[1]?.at(-1)).to.equal('tier=front');
    const labelled = rows(await kubectl('get', 'sess', '-L', 'tier'));
    expect(labelled.map((cells) => cells.at(-1))).to.deep.equal(['TIER', 'front', 'back', 'back']);
    expect(lines(await kubectl('get', 'sess', '--no-headers'))).to.have.length(3);
  });

  it('prints documents, paths and columns of one’s own', async () => {
    const json = JSON.parse(await kubectl('get', 'sess', '-o', 'json')) as { kind: string; items: Session[] };
    expect([json.kind, json.items.map(({ kind, metadata }) => `${kind} ${metadata.name}`)]).to.deep.equal([
      'List',
      ['Session a', 'Session b', 'Session c'],
    ]);
    const yaml = await kubectl('get', 'sess', 'a', '-o', 'yaml');
    expect(yaml).to.match(/^apiVersion: sojourn\.dev\/v1alpha1\nkind: Session\nmetadata:\n/);
    expect(yaml).to.contain('\nspec:\n  idleAction: Delete\n').and.not.contain('managedFields');
    expect(await kubectl('get', 'sess', '-o', 'jsonpath={.items[*].status.phase}')).to.equal(
      'Suspended Suspended Ready',
    );
    const own = await kubectl('get', 'sess', '-o', 'custom-columns=N:.metadata.name,S:.spec.suspended');
    expect(rows(own)).to.deep.equal([
      ['N', 'S'],
      ['a', 'true'],
      ['b', 'true'],
      ['c', 'false'],
    ]);
    expect(await kubectl('get', 'sess', 'c', '-o', 'go-template={{.spec.runtimeRef.name}}')).to.equal('none');
  });

  it('sorts, selects and reads in chunks', async () => {
    expect(column(await kubectl('get', 'sess', '--sort-by=.metadata.labels.tier'), 0)).to.deep.equal(['b', 'c', 'a']);
    expect(column(await kubectl('get', 'sess', '-l', 'tier in (back),tier!=x'), 0)).to.deep.equal(['b', 'c']);
    expect(column(await kubectl('get', 'sess', '--field-selector', 'status.phase=Ready'), 0)).to.deep.equal(['c']);
    expect(
      column(await kubectl('get', 'sess', '--field-selector', 'status.phase!=Ready,metadata.name!=b'), 0),
    ).to.deep.equal(['a']);
    for (const size of ['1', '2', '0']) {
      expect(column(await kubectl('get', 'sess', `--chunk-size=${size}`), 0)).to.deep.equal(['a', 'b', 'c']);
      const selected = await kubectl(
        'get',
        'sess',
        `--chunk-size=${size}`,
        '--field-selector',
        'status.phase=Suspended',
      );
      expect(column(selected, 0)).to.deep.equal(['a', 'b']);
    }
  });

  it('prints sessions of all namespaces', async () => {
    const [head, ...body] = rows(await kubectl('get', 'sess', '-A', '-l', 'tier'));
    expect(head?.[0]).to.equal('NAMESPACE');
    const own = body.filter(([namespace]) => namespace === space.name);
    expect(own.map((cells) => cells[1])).to.deep.equal(['a', 'b', 'c']);
  });

  it('says what there is not, and what cannot be selected by', async () => {
    const run = async (...args: string[]) => await env.kubectl(['-n', space.name, 'get', 'sess', ...args]);
    expect(await run('nobody')).to.deep.include({
      code: 1,
      stderr: 'Error from server (NotFound): sessions.sojourn.dev "nobody" not found\n',
    });
    expect((await run('nobody', '--ignore-not-found')).code).to.equal(0);
    expect(await run('-l', 'x=y')).to.deep.include({
      code: 0,
      stdout: '',
      stderr: `No resources found in ${space.name} namespace.\n`,
    });
    expect((await run('--field-selector', 'color=red')).stderr).to.match(
      /\(BadRequest\): .*field label not supported: color/,
    );
  });

  it('follows changes as a table, whose heading comes once', async () => {
    const stop = new AbortController();
    let printed = '';
    const onOutput = (text: string) => {
      printed += text;
    };
    const args = ['-n', space.name, 'get', 'sess', '-w', '--output-watch-events'];
    const watching = env.kubectl(args, { signal: stop.signal, onOutput });
    const ended = watching.catch(({ name }: Error) => name);
    // How often the controller has something to say of a new session is not ours to count.
    const shown = () =>
      rows(printed)
        .map((cells) => cells.slice(0, 2).join(' '))
        .filter((row) => row !== 'MODIFIED d');
    const initial = ['EVENT NAME', 'ADDED a', 'ADDED b', 'ADDED c'];
    const untilShown = async (last: string) =>
      await until(last, () => shown().at(-1) === last, { seen: () => printed });
    try {
      await untilShown('ADDED c');
      expect(shown()).to.deep.equal(initial);
      await kubectl('annotate', 'sess', 'a', 'note=1');
      await untilShown('MODIFIED a');
      await kubectl('annotate', 'sess', 'b', 'note=2');
      await untilShown('MODIFIED b');
      const spec = { runtimeRef: { kind: 'CodeInterpreter', name: 'none' }, suspended: true };
      const body = { apiVersion: 'sojourn.dev/v1alpha1', kind: 'Session', metadata: { name: 'd' }, spec };
      await env.client.request({ method: 'POST', path: sessionsPath(space.name), body });
      await untilShown('ADDED d');
      await kubectl('delete', 'sess', 'd');
      await untilShown('DELETED d');
    } finally {
      stop.abort();
    }
    expect(await ended).to.equal('AbortError');
    expect(shown()).to.deep.equal([...initial, 'MODIFIED a', 'MODIFIED b', 'ADDED d', 'DELETED d']);
  });

  it('reads what is asked for raw', async () => {
    const path = `${sessionsPath(space.name)}?limit=1&labelSelector=tier%3Dback`;
    const { items, metadata } = JSON.parse(await kubectl('get', '--raw', path)) as {
      items: Session[];
      metadata: { continue: string };
    };
    expect(items.map(({ metadata: { name } }) => name)).to.deep.equal(['b']);
    expect(metadata.continue).to.match(/^[\w-]+$/);
  });
});
