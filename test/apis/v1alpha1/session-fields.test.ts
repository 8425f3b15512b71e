import { expect } from 'chai';
import type { ManagedFieldsEntry } from '../../../apis/machinery/managed-fields/managers.ts';
import { applyMergePatch } from '../../../apis/machinery/merge-patch.ts';
import { adoptionPatch } from '../../../apis/v1alpha1/adoption.ts';
import { readDocument } from '../../../apis/v1alpha1/document.ts';
import { projectSession } from '../../../apis/v1alpha1/projection.ts';
import type { Sandbox } from '../../../apis/v1alpha1/sandbox.ts';
import { applySession, ownersAfterUpdate, ownersAtCreation } from '../../../apis/v1alpha1/session-fields.ts';
import { sandboxPatch } from '../../../apis/v1alpha1/session-update.ts';
import type { SessionDocument } from '../../../apis/v1alpha1/types.ts';
import { runtime, spec, storedSandbox } from './samples.ts';

const now = Date.parse('2026-11-21T06:35:00Z');

function documentOf(sandbox: Sandbox): SessionDocument {
  const result = readDocument(sandbox);
  if ('problem' in result) throw new Error(result.problem);
  return result.document;
}

/** The Sandbox after its Session was written with other owners of fields, or undefined when nothing was to be written. */
function written(sandbox: Sandbox, managedFields: ManagedFieldsEntry[] | undefined): Sandbox | undefined {
  const { metadata } = projectSession(sandbox);
  const patch = sandboxPatch(sandbox, documentOf(sandbox), { metadata, spec, managedFields }, now);
  return patch === undefined ? undefined : (applyMergePatch(sandbox, patch) as Sandbox);
}

describe('owners of a session’s fields', () => {
  const owners = ownersAtCreation({ metadata: { name: 'x', labels: { a: '1' } }, spec }, { manager: 'alice', now });

  it('are stored with the session and shown with it, warm or cold', () => {
    const session = { metadata: { name: 'x' }, spec, runtime, user: { username: 'alice' }, managedFields: owners, now };
    const { metadata } = adoptionPatch(session, { uid: 'u', resourceVersion: '1' });
    expect(projectSession({ metadata } as unknown as Sandbox).metadata.managedFields).to.deep.equal(owners);
    const cold = written(storedSandbox(), owners);
    expect(cold && projectSession(cold).metadata.managedFields).to.deep.equal(owners);
    expect(owners).to.have.length(1);
  });

  it('are not written again when nothing but their time has changed', () => {
    const sandbox = written(storedSandbox(), owners) ?? storedSandbox();
    const later = owners?.map((entry) => ({ ...entry, time: '2027-01-01T00:00:00Z' }));
    expect(written(sandbox, later)).to.equal(undefined);
    const renamed = owners?.map((entry) => ({ ...entry, manager: 'bob' }));
    expect(written(sandbox, renamed)).not.to.equal(undefined);
  });

  it('are dropped from what is stored when they are given up', () => {
    const sandbox = written(storedSandbox(), owners) ?? storedSandbox();
    const without = written(sandbox, undefined);
    expect(without && documentOf(without)).not.to.have.property('managedFields');
  });

  it('have nothing to do with the status, which follows from the Sandbox', () => {
    const before = projectSession(storedSandbox());
    const after = { ...before, metadata: { ...before.metadata, managedFields: owners ?? [] } };
    const next = { metadata: before.metadata, spec };
    expect(ownersAfterUpdate(after, next, { manager: 'bob', now })).to.deep.equal(owners);
    const config = {
      apiVersion: 'sojourn.dev/v1alpha1',
      kind: 'Session',
      metadata: { name: 'x' },
      status: { phase: 'Failed' },
    };
    const { managedFields } = applySession(after, config, { manager: 'carol', now, force: false });
    expect(managedFields?.map(({ manager }) => manager)).to.deep.equal(['alice']);
  });
});
