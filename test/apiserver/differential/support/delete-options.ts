import type { Side } from './side.ts';

type Options = object | ((side: Side) => object);

/** DeleteOptions that are right, by what they ask for; each can be sent in any format. */
export const deleteOptions: Readonly<Record<string, Options>> = {
  'of nothing in particular': {},
  'of v1': { kind: 'DeleteOptions', apiVersion: 'v1' },
  'of meta.k8s.io': { kind: 'DeleteOptions', apiVersion: 'meta.k8s.io/v1' },
  'of its own group': (side) => ({ kind: 'DeleteOptions', apiVersion: side.apiVersion }),
  'of a group that there is not': { kind: 'DeleteOptions', apiVersion: 'nonsense/v7' },
  'without a version': { kind: 'DeleteOptions' },
  'without a kind': { apiVersion: 'v1' },
  'with an unknown member': { unknown: 1, PropagationPolicy: 'Foreground' },
  'in the background': { propagationPolicy: 'Background' },
  'in the foreground': { propagationPolicy: 'Foreground' },
  'that orphans': { propagationPolicy: 'Orphan' },
  'of no policy': { propagationPolicy: null },
  'with orphanDependents': { orphanDependents: true },
  'without orphanDependents': { orphanDependents: false },
  'within 30 seconds': { gracePeriodSeconds: 30 },
  'within no time': { gracePeriodSeconds: 0 },
  'within less than no time': { gracePeriodSeconds: -5 },
  'of its uid': (side) => ({ preconditions: { uid: side.object.metadata.uid } }),
  'of its version': (side) => ({ preconditions: { resourceVersion: side.object.metadata.resourceVersion } }),
  'of its version, in the foreground': (side) => ({
    preconditions: { resourceVersion: side.object.metadata.resourceVersion },
    propagationPolicy: 'Foreground',
  }),
  'without preconditions': { preconditions: {} },
  'that is only tried': { dryRun: ['All'] },
  'that is only tried, in the foreground': { dryRun: ['All', 'All'], propagationPolicy: 'Foreground' },
  'that is not only tried': { dryRun: [] },
};

/** DeleteOptions that are refused, by what is wrong with them. */
export const wrongDeleteOptions: Readonly<Record<string, Options>> = {
  'of another uid': { preconditions: { uid: 'another' } },
  'of an empty uid': { preconditions: { uid: '' } },
  'of an old version': { preconditions: { resourceVersion: '1' } },
  'of a version that is none': { preconditions: { resourceVersion: 'abc' } },
  'of an empty version': { preconditions: { resourceVersion: '' } },
  'of an old version, in the foreground': { preconditions: { resourceVersion: '1' }, propagationPolicy: 'Foreground' },
  'of another uid and an old version': { preconditions: { uid: 'another', resourceVersion: '1' } },
  'of its uid and an old version': (side) => ({
    preconditions: { uid: side.object.metadata.uid, resourceVersion: '1' },
  }),
  'of another uid, only tried': { preconditions: { uid: 'another' }, dryRun: ['All'] },
  'by a policy that there is not': { propagationPolicy: 'Nonsense' },
  'by an empty policy': { propagationPolicy: '' },
  'by a policy that is a number': { propagationPolicy: 5 },
  'by two policies': { propagationPolicy: 'Orphan', orphanDependents: true },
  'with everything wrong': { propagationPolicy: 'Nonsense', orphanDependents: false, dryRun: ['x'] },
  'with orphanDependents that is text': { orphanDependents: 'yes' },
  'within a time that is text': { gracePeriodSeconds: '5' },
  'within a part of a second': { gracePeriodSeconds: 1.5 },
  'with dryRun that is text': { dryRun: 'All' },
  'with dryRun of numbers': { dryRun: [5] },
  'with dryRun that there is not': { dryRun: ['All', 'x'] },
  'with preconditions that are text': { preconditions: 'x' },
  'with a uid that is a number': { preconditions: { uid: 5 } },
  'of another kind': { kind: 'Pod', apiVersion: 'v1' },
  'of the kind of another answer': { kind: 'Status', apiVersion: 'v1' },
  'of a kind that is a number': { kind: 5 },
  'of a version of three parts': { kind: 'DeleteOptions', apiVersion: 'a/b/c' },
  'of what cannot be read, in the foreground': {
    ignoreStoreReadErrorWithClusterBreakingPotential: true,
    propagationPolicy: 'Foreground',
  },
};
