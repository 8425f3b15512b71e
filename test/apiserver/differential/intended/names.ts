import { sandboxApi } from '../../../../apis/names.ts';
import { sandboxesPath } from '../../../../apis/v1alpha1/sandbox-paths.ts';
import { create, json } from '../support/requests.ts';
import type { Side } from '../support/side.ts';
import type { WireRequest } from '../support/wire.ts';
import type { Difference } from './difference.ts';
import { warmNames } from './warm-names.ts';

/** A Sandbox of the case's name that nobody made for a session. Both sides ask for it: for one of them it is there. */
function makeSandbox(side: Side): WireRequest {
  const podTemplate = { spec: { containers: [{ name: 'main', image: 'local/none' }] } };
  return {
    method: 'POST',
    path: sandboxesPath(side.namespace),
    headers: json,
    body: {
      apiVersion: sandboxApi.groupVersion,
      kind: 'Sandbox',
      metadata: { name: side.name },
      spec: { podTemplate, operatingMode: 'Suspended' },
    },
  };
}

/** What differs in what may be created, and under which name. */
export const names = {
  names: {
    cases: {
      'a create of a dotted name': {
        requests: [create((side) => ({ metadata: { name: `${side.name}.dotted` } }))],
        shown: { session: '422 Invalid', twin: '201 Session' },
      },
      'a create of a name of 64 characters': {
        requests: [create((side) => ({ metadata: { name: side.name.padEnd(64, 'x') } }))],
        shown: { session: '422 Invalid', twin: '201 Session' },
      },
    },
  },
  labelPrefix: {
    cases: {
      'a create with a label key of a prefix of 240 characters': {
        requests: [create({ metadata: { labels: { [`${'a.'.repeat(118)}abcd/x`]: 'y' } } })],
        shown: { session: '422 Invalid', twin: '201 Session' },
      },
    },
  },
  foreignSandbox: {
    cases: {
      'a create of a name that a Sandbox has which is no session': {
        requests: [makeSandbox, create()],
        shown: { session: '409 AlreadyExists', twin: '201 Session' },
      },
    },
  },
  runtime: {
    cases: {
      'a create for a runtime that is not there': {
        requests: [create({ spec: { runtimeRef: { kind: 'CodeInterpreter', name: 'absent' } } })],
        shown: { session: '404 NotFound', twin: '201 Session' },
      },
    },
  },
  warmNames: { behaviour: warmNames },
} satisfies Record<string, Difference>;
