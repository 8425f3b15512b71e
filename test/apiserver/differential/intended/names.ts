import type { KubeObject } from '../../../../apis/machinery/meta.ts';
import { finalizers, group, poolApi, sandboxApi } from '../../../../apis/names.ts';
import { sandboxesPath } from '../../../../apis/v1alpha1/sandbox-paths.ts';
import type { Step } from '../support/compare.ts';
import type { NormalAnswer } from '../support/normalize.ts';
import { create, json } from '../support/requests.ts';
import { words } from '../support/shown.ts';
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

const pool = { apiVersion: poolApi.groupVersion, kind: poolApi.pool.kind, name: 'pool', uid: 'pool' };
const invalid = '422 Invalid: Session.GROUP "NAME" is invalid:';

/** A create of a generated name, with the case's own key. */
function keyed(note: string): Step {
  return (side) =>
    create(
      { metadata: { name: undefined, generateName: `${side.name}-`, annotations: { note } } },
      { headers: { 'idempotency-key': side.name } },
    )(side);
}

const statusesAndNames = (answers: readonly NormalAnswer[]) =>
  answers.map(({ status, body }) => `${status} ${(body as KubeObject).metadata.name}`);

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
  poolOwners: {
    cases: {
      'a create with a pool of agent-sandbox as its owner': {
        requests: [create({ metadata: { ownerReferences: [pool] } })],
        shown: {
          of: words,
          session: `${invalid} metadata.ownerReferences[0]: Forbidden: a session cannot be owned by a pool or claim of agent-sandbox`,
          twin: '201 Session',
        },
      },
    },
  },
  ownFinalizers: {
    cases: Object.fromEntries(
      Object.values(finalizers).map((finalizer) => [
        `a create with the finalizer ${finalizer}`,
        {
          requests: [create({ metadata: { finalizers: [finalizer] } })],
          shown: {
            of: words,
            session: `${invalid} metadata.finalizers: Forbidden: "${finalizer.replace(group, 'GROUP')}" is how another finalizer is stored; leave out "GROUP/"`,
            twin: '201 Session',
          },
        },
      ]),
    ),
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
  idempotencyKey: {
    cases: {
      'a create that is sent again with its Idempotency-Key': {
        requests: [keyed('one'), keyed('one')],
        shown: {
          of: statusesAndNames,
          session: ['201 GENERATED1', '200 GENERATED1'],
          twin: ['201 GENERATED1', '201 GENERATED2'],
        },
      },
      'another create with the same Idempotency-Key': {
        requests: [keyed('one'), keyed('another')],
        shown: { session: '422 Invalid', twin: '201 Session' },
      },
      'a create with an Idempotency-Key that is none': {
        requests: [create({}, { headers: { 'idempotency-key': 'two words' } })],
        shown: { session: '400 BadRequest', twin: '201 Session' },
      },
    },
  },
  warmNames: { behaviour: warmNames },
} satisfies Record<string, Difference>;
