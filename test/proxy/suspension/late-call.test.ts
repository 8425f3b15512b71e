import { expect } from 'chai';
import { Registry } from 'prom-client';
import { createLog } from '../../../apis/runtime/log.ts';
import type { Sandbox } from '../../../apis/v1alpha1/sandbox.ts';
import { ActivityTracker } from '../../../proxy/invocation/activity/tracker.ts';
import type { SandboxSource } from '../../../proxy/invocation/sandbox-source.ts';
import { type SessionRecord, toSessionRecord } from '../../../proxy/invocation/session-record.ts';
import { idleSuspension } from '../../../proxy/invocation/suspension/changes.ts';
import { until } from '../../support/until.ts';
import { flushesOf, TestClock } from '../activity/replica.ts';
import { idleMinutes, type SuspensionWorkplace, useSuspension } from './workplace.ts';

/** Sessions as a watch shows them that brings what the test says. */
class ManualSource implements SandboxSource {
  readonly synced = true;
  #record: SessionRecord;
  readonly #listeners = new Set<(key: string) => void>();

  constructor(record: SessionRecord) {
    this.#record = record;
  }

  get(): SessionRecord {
    return this.#record;
  }

  onChange(listener: (key: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  show(record: SessionRecord): void {
    this.#record = record;
    const { namespace, name } = record.session.metadata;
    for (const listener of this.#listeners) listener(`${namespace}/${name}`);
  }
}

/** A process that has seen a Ready session, a few seconds before that is idle by its clock. */
async function lateReplica(place: SuspensionWorkplace, name: string) {
  const record = toSessionRecord(await place.sandbox(name));
  const source = new ManualSource(record);
  const clock = new TestClock(idleMinutes * 1.25 * 60_000 - 5_000);
  const registry = new Registry();
  const log = createLog({ write: () => undefined });
  const client = place.env.asAccount('sojourn-proxy');
  const tracker = new ActivityTracker({ client, sandboxes: source, registry, log, now: clock.now });
  tracker.start();
  return { record, source, tracker, registry };
}

describe('a call that comes seconds before its session is suspended', () => {
  const place = useSuspension();

  it('begins after its use was written, so that no replica suspends the session under it', async () => {
    await place.ready('saved');
    const { record, tracker } = await lateReplica(place, 'saved');
    const lease = tracker.begin(record);
    expect(lease).to.be.instanceOf(Promise);
    (await lease).end();
    const stored = toSessionRecord(await place.sandbox('saved'));
    expect(stored.session.status?.lastActivityTime).not.to.equal(record.session.status?.lastActivityTime);
    await tracker.stop();
  }).timeout(60_000);

  it('waits to be sent on until the watch shows that another replica was faster', async () => {
    await place.ready('overtaken');
    const { record, source, tracker, registry } = await lateReplica(place, 'overtaken');
    const { annotations, spec } = idleSuspension(Date.now());
    const client = place.env.asAccount('sojourn-proxy');
    const path = `/apis/agents.x-k8s.io/v1beta1/namespaces/${place.namespace}/sandboxes/overtaken`;
    const body = { metadata: { annotations }, spec };
    const contentType = 'application/merge-patch+json';
    const suspended = await client.request<Sandbox>({ method: 'PATCH', path, contentType, body });
    await place.phase('overtaken', 'Suspended');
    // It waits some seconds for the watch, no longer.
    let begun = false;
    const lease = Promise.resolve(tracker.begin(record)).then((given) => {
      begun = true;
      return given;
    });
    await until('the tracker to have looked', async () => (await flushesOf(registry, 'conflict')) > 0);
    const shown = toSessionRecord(await place.sandbox('overtaken'));
    expect(begun).to.equal(false);
    source.show(shown);
    (await lease).end();
    const { metadata } = await place.sandbox('overtaken');
    expect(metadata.annotations).to.deep.include(suspended.metadata.annotations);
    await tracker.stop();
  }).timeout(60_000);
});
