import { expect } from 'chai';
import fc from 'fast-check';
import { applyMergePatch } from '../../../apis/machinery/merge-patch.ts';
import { annotations } from '../../../apis/names.ts';
import { endAfter, latestEnd, lifetimeOf } from '../../../apis/v1alpha1/deadline.ts';
import { readDocument } from '../../../apis/v1alpha1/document.ts';
import { projectSession } from '../../../apis/v1alpha1/projection.ts';
import type { Sandbox } from '../../../apis/v1alpha1/sandbox.ts';
import { noticeMs, type SessionUpdate, sandboxPatch } from '../../../apis/v1alpha1/session-update.ts';
import type { CompleteSessionSpec, SessionDocument } from '../../../apis/v1alpha1/types.ts';
import { condition, spec, storedSandbox } from './samples.ts';

const createdAt = Date.parse('2026-11-21T06:30:00Z');
const now = createdAt + 5 * 60_000;

function documentOf(sandbox: Sandbox): SessionDocument {
  const result = readDocument(sandbox);
  if ('problem' in result) throw new Error(result.problem);
  return result.document;
}

/** The update that leaves a stored session as it is. */
function same(sandbox: Sandbox): SessionUpdate {
  const { metadata } = projectSession(sandbox);
  return { metadata, spec: documentOf(sandbox).spec };
}

/** The Sandbox after an update, as kube-apiserver would store it. */
function updated(sandbox: Sandbox, update: Partial<SessionUpdate>, at = now): Sandbox {
  const patch = sandboxPatch(sandbox, documentOf(sandbox), { ...same(sandbox), ...update }, at);
  return patch === undefined ? sandbox : (applyMergePatch(sandbox, patch) as Sandbox);
}

const withSpec = (change: Partial<CompleteSessionSpec>) => ({ spec: { ...spec, ...change } });

function suspended(sandbox: Sandbox, { podGone }: { podGone: boolean }): void {
  sandbox.spec = { ...sandbox.spec, operatingMode: 'Suspended' };
  sandbox.status = {
    conditions: [
      condition('Ready', 'False', 'SandboxSuspended'),
      { ...condition('Suspended', podGone ? 'True' : 'False', 'PodTerminated'), observedGeneration: 1 },
    ],
  };
}

describe('the write that changes a session', () => {
  const keys = fc.constantFrom('app', 'team', 'foo.com/bar', 'a.b.c/d');
  const texts = fc.stringMatching(/^[a-z0-9]{0,8}$/);

  it('makes the stored session the one that is wanted, whatever it was', () => {
    const finalizers = fc.uniqueArray(fc.constantFrom('foregroundDeletion', 'example.com/a', 'example.com/b'));
    const wanted = fc.record({
      labels: fc.dictionary(keys, texts),
      annotations: fc.dictionary(keys, texts),
      finalizers,
      suspended: fc.boolean(),
      idleTimeout: fc.constantFrom('5m', '15m'),
      idleAction: fc.constantFrom('Delete' as const, 'Suspend' as const),
    });
    fc.assert(
      fc.property(fc.array(wanted, { minLength: 1, maxLength: 4 }), (steps) => {
        let sandbox = storedSandbox(({ metadata }) => {
          metadata.labels = { ...metadata.labels, 'agents.x-k8s.io/launch-type': 'warm' };
          metadata.finalizers = ['orphan'];
        });
        for (const { labels, annotations: notes, finalizers: holds, ...rest } of steps) {
          sandbox = updated(sandbox, {
            metadata: { labels, annotations: notes, finalizers: holds },
            spec: { ...spec, ...rest },
          });
          const session = projectSession(sandbox);
          expect(session.metadata.labels ?? {}).to.deep.equal(labels);
          expect(session.metadata.annotations ?? {}).to.deep.equal(notes);
          expect(session.metadata.finalizers ?? []).to.deep.equal(holds);
          expect(session.spec).to.deep.equal({ ...spec, ...rest });
          expect(sandbox.metadata.labels).to.include({
            'sojourn.dev/session': 'true',
            'agents.x-k8s.io/launch-type': 'warm',
          });
          expect(sandbox.metadata.finalizers).to.include('orphan');
          expect(sandbox.spec?.operatingMode === 'Suspended' || !rest.suspended).to.equal(true);
        }
      }),
    );
  });

  it('is none when nothing changes, and is fenced by what it was made from', () => {
    const sandbox = storedSandbox();
    expect(sandboxPatch(sandbox, documentOf(sandbox), same(sandbox), now)).to.equal(undefined);
    const patch = sandboxPatch(
      sandbox,
      documentOf(sandbox),
      { ...same(sandbox), ...withSpec({ idleTimeout: '5m' }) },
      now,
    );
    expect(patch?.metadata.resourceVersion).to.equal('1042');
  });

  it('raises the generation for the spec alone', () => {
    const generation = (sandbox: Sandbox) => projectSession(sandbox).metadata.generation;
    expect(generation(updated(storedSandbox(), { metadata: { labels: { a: 'b' } } }))).to.equal(1);
    expect(generation(updated(storedSandbox(), { metadata: { annotations: { a: 'b' } } }))).to.equal(1);
    expect(generation(updated(storedSandbox(), withSpec({ idleTimeout: '5m' })))).to.equal(2);
  });

  it('moves the deadline with the limits, from the activity that is stored', () => {
    const sandbox = storedSandbox(({ metadata }) => {
      metadata.annotations = { ...metadata.annotations, [annotations.activity]: '2026-11-21T06:34:00Z' };
    });
    const end = (change: Partial<CompleteSessionSpec>, at = now) =>
      Date.parse(updated(sandbox, withSpec(change), at).spec?.shutdownTime ?? '') - createdAt;
    expect(end({ idleTimeout: '8m' })).to.equal((4 + 8 + 2) * 60_000);
    expect(end({ maxDuration: '6m', idleTimeout: '6m' })).to.equal(6 * 60_000);
    expect(end({ idleAction: 'Suspend' })).to.equal(8 * 3_600_000);
  });

  it('leaves a session whose limits are over some seconds, in which whoever uses it can say so', () => {
    const sandbox = storedSandbox();
    const end = Date.parse(updated(sandbox, withSpec({ idleTimeout: '10s' })).spec?.shutdownTime ?? '');
    expect(end).to.equal(now + noticeMs);
    const lifetime = lifetimeOf(createdAt, { ...spec, maxDuration: '4m', idleTimeout: '4m' });
    const over = Date.parse(
      updated(sandbox, { spec: { ...spec, maxDuration: '4m', idleTimeout: '4m' } }).spec?.shutdownTime ?? '',
    );
    expect(over).to.equal(latestEnd(lifetime));
    // What ends sooner than that anyhow is not kept.
    const late = endAfter(lifetimeOf(createdAt, spec), createdAt) - 2_000;
    const soon = Date.parse(updated(sandbox, withSpec({ idleTimeout: '10s' }), late).spec?.shutdownTime ?? '');
    expect(soon).to.equal(late + 2_000);
  });

  describe('for the hold', () => {
    it('suspends, and takes the place of the idle mark', () => {
      const sandbox = storedSandbox((stored) => {
        stored.metadata.annotations = { ...stored.metadata.annotations, [annotations.idleSuspended]: 'x' };
        suspended(stored, { podGone: true });
      });
      const held = updated(sandbox, withSpec({ suspended: true }));
      expect(held.metadata.annotations).not.to.have.property(annotations.idleSuspended);
      expect([held.spec?.operatingMode, projectSession(held).status?.phase]).to.deep.equal(['Suspended', 'Suspended']);
    });

    it('asks for a new Pod at once when the old one is gone, whatever the clocks say', () => {
      const sandbox = updated(storedSandbox(), withSpec({ suspended: true }));
      suspended(sandbox, { podGone: true });
      const earlier = Date.parse('2026-11-21T06:30:50Z');
      const released = updated(sandbox, withSpec({ suspended: false }), earlier);
      expect(released.spec?.operatingMode).to.equal('Running');
      expect(projectSession(released).status?.phase).to.equal('Resuming');
      expect(released.metadata.annotations?.[annotations.activity]).to.equal('2026-11-21T06:30:50Z');
    });

    it('leaves that to whoever sees the old Pod go, as long as it is there or nobody has looked', () => {
      for (const [podGone, generation] of [
        [false, 1],
        [true, 2],
      ] as const) {
        const sandbox = updated(storedSandbox(), withSpec({ suspended: true }));
        suspended(sandbox, { podGone });
        sandbox.metadata.generation = generation;
        const released = updated(sandbox, withSpec({ suspended: false }));
        expect(released.spec?.operatingMode).to.equal('Suspended');
        expect(projectSession(released).status?.phase).to.equal('Resuming');
      }
    });
  });
});
