import type { NormalAnswer } from '../support/normalize.ts';
import { remove } from '../support/requests.ts';
import { last, outcome, words } from '../support/shown.ts';
import type { Difference } from './difference.ts';
import { ownersDeletion } from './owners-deletion.ts';

/** The outcome, whether there was a Warning, and the finalizers that are left. */
const finalizers = (answers: readonly NormalAnswer[]) => {
  const { headers, body } = last(answers);
  const { metadata } = body as { metadata: { finalizers?: string[] } };
  return [outcome(answers), headers.warning === undefined ? 'without a word' : 'warned', metadata.finalizers];
};

/** What differs in how objects go. */
export const deletions = {
  lateDeletion: {
    cases: {
      'a deletion that is to wait for dependents after one that was not': {
        given: { metadata: { finalizers: ['example.com/hold'] } },
        requests: [remove({ propagationPolicy: 'Background' }), remove({ propagationPolicy: 'Foreground' })],
        shown: {
          of: finalizers,
          session: ['200 Session', 'warned', ['example.com/hold']],
          twin: ['200 Session', 'without a word', ['example.com/hold', 'foregroundDeletion']],
        },
      },
    },
  },
  dryDeletion: {
    cases: {
      'a dry run of a deletion that takes the last finalizer': {
        given: { metadata: { finalizers: ['foregroundDeletion'] } },
        requests: [remove({ propagationPolicy: 'Background', dryRun: ['All'] })],
        shown: {
          of: (answers) => Object.keys(last(answers).body ?? {}).sort(),
          session: ['apiVersion', 'details', 'kind', 'metadata', 'status'],
          twin: ['apiVersion', 'kind'],
        },
      },
    },
  },
  unsafeDeletion: {
    cases: {
      'a deletion of what cannot be read': {
        given: {},
        requests: [remove({ ignoreStoreReadErrorWithClusterBreakingPotential: true })],
        shown: {
          of: (answers) => words(answers).replace(/^.*, Key: .*, ResourceVersion: 0, /, '… '),
          session:
            '409 Conflict: Operation cannot be fulfilled on sessions.GROUP "NAME": unsafe deletion is not allowed because the object is decodable from storage',
          twin: '… AdditionalErrorMsg: unsafe deletion is not allowed because the object is decodable from storage',
        },
      },
    },
  },
  ownersDeletion: { behaviour: ownersDeletion },
} satisfies Record<string, Difference>;
