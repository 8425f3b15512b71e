import { type Static, Type } from 'typebox';
import type { ManagedFieldsEntry } from '../machinery/managed-fields/managers.ts';
import type { Condition, ObjectMeta } from '../machinery/meta.ts';
import { patternMeaning } from '../machinery/schema.ts';
import { durationMeaning, durationPattern } from './duration.ts';

/** A word of a closed list; TypeBox's unions would become `anyOf`, which structural schemas do not have. */
function oneOf<const W extends string>(words: readonly W[], description: string) {
  return Type.Unsafe<W>({ type: 'string', enum: [...words], description });
}

export const runtimeKinds = ['AgentRuntime', 'CodeInterpreter'] as const;
const idleActions = ['Delete', 'Suspend'] as const;
const phases = ['Pending', 'Ready', 'Suspending', 'Suspended', 'Resuming', 'Terminating', 'Failed'] as const;
const authModes = ['sojourn', 'picod', 'none'] as const;
const startKinds = ['Warm', 'Cold'] as const;

export type RuntimeKind = (typeof runtimeKinds)[number];
export type Phase = (typeof phases)[number];
export type AuthMode = (typeof authModes)[number];
export type StartKind = (typeof startKinds)[number];

const dns1123 = '^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$';

export const sessionSpec = Type.Object(
  {
    runtimeRef: Type.Object(
      {
        kind: oneOf(runtimeKinds, 'Kind of the runtime: AgentRuntime or CodeInterpreter.'),
        name: Type.String({
          pattern: dns1123,
          maxLength: 253,
          description: 'Name of the runtime in the namespace of the session.',
        }),
      },
      { description: 'The runtime that this session is an instance of. Immutable.' },
    ),
    idleTimeout: Type.Optional(
      Type.String({
        pattern: durationPattern,
        [patternMeaning]: durationMeaning,
        maxLength: 64,
        description:
          "How long the session may be unused before idleAction happens, as a duration such as 15m. Defaults to the runtime's sessionTimeout; at most maxDuration.",
      }),
    ),
    maxDuration: Type.Optional(
      Type.String({
        pattern: durationPattern,
        [patternMeaning]: durationMeaning,
        maxLength: 64,
        description:
          "How long the session may live in all, as a duration such as 8h. Defaults to the runtime's maxSessionDuration, which is also the upper limit.",
      }),
    ),
    idleAction: Type.Optional(
      oneOf(
        idleActions,
        'What happens when idleTimeout is over: Delete (default) or Suspend, which resumes with the next call.',
      ),
    ),
    suspended: Type.Optional(
      Type.Boolean({
        description:
          'Hold: while true the session has no Pod, nothing resumes it, and invocations are refused with 409 SessionSuspended.',
      }),
    ),
  },
  { description: 'What the session should be.' },
);

const endpoint = Type.Object({
  pathPrefix: Type.String({
    maxLength: 1024,
    description: 'Invocations whose path begins with this go to port; the longest prefix wins.',
  }),
  port: Type.Integer({ minimum: 1, maximum: 65_535, description: 'Port of the sandbox.' }),
  protocol: oneOf(['HTTP', 'HTTPS'], 'HTTP or HTTPS.'),
});

const user = Type.Object(
  {
    username: Type.String({ description: 'Name of the user.' }),
    uid: Type.Optional(Type.String({ description: 'uid of the user, where the authenticator gave one.' })),
  },
  { description: 'Who created the session.' },
);

const condition = Type.Object({
  type: Type.String({ description: 'Type of the condition: Ready, Suspended, PodScheduled or DataInvalid.' }),
  status: oneOf(['True', 'False', 'Unknown'], 'True, False or Unknown.'),
  reason: Type.String({ description: 'Machine-readable reason of the last transition.' }),
  message: Type.String({ description: 'What the reason means here.' }),
  lastTransitionTime: Type.String({ format: 'date-time', description: 'When status changed last.' }),
});

export const sessionStatus = Type.Object(
  {
    phase: Type.Optional(
      oneOf(
        phases,
        'Summary of the conditions: Pending, Ready, Suspending, Suspended, Resuming, Terminating or Failed.',
      ),
    ),
    conditions: Type.Optional(
      Type.Array(condition, {
        description: 'Ready, Suspended, PodScheduled; DataInvalid when the stored session cannot be read.',
      }),
    ),
    user: Type.Optional(user),
    start: Type.Optional(
      oneOf(startKinds, 'Warm when the session took a Pod from its pool, Cold when it got a new one.'),
    ),
    addresses: Type.Optional(Type.Array(Type.String(), { description: 'IP addresses of the Pod.' })),
    nodeName: Type.Optional(Type.String({ description: 'Node the Pod runs on.' })),
    lastActivityTime: Type.Optional(
      Type.String({ format: 'date-time', description: 'When the session was last seen in use.' }),
    ),
    expirationTime: Type.Optional(
      Type.String({ format: 'date-time', description: 'When the session ends if nothing moves it.' }),
    ),
    endpoints: Type.Optional(Type.Array(endpoint, { description: 'Where invocations go, by path.' })),
  },
  { description: 'What the session is now. Computed; nobody writes it.' },
);

/** The session document: the one annotation that holds everything a Session has and its Sandbox has no field for. */
export const sessionDocument = Type.Object({
  format: Type.Integer({ minimum: 1, maximum: 1 }),
  creationTimestamp: Type.String({ maxLength: 40 }),
  start: oneOf(startKinds, ''),
  spec: sessionSpec,
  runtime: Type.Object({
    uid: Type.String({ maxLength: 128 }),
    generation: Type.Integer({ minimum: 0 }),
    limits: Type.Object({ idleTimeout: Type.String({ maxLength: 64 }), maxDuration: Type.String({ maxLength: 64 }) }),
    endpoints: Type.Array(endpoint, { maxItems: 64 }),
    authMode: oneOf(authModes, ''),
  }),
  annotations: Type.Optional(
    Type.Unsafe<Record<string, string>>({ type: 'object', additionalProperties: { type: 'string' } }),
  ),
  generation: Type.Integer({ minimum: 1 }),
  managedFields: Type.Optional(
    Type.Array(Type.Unsafe<ManagedFieldsEntry>({ type: 'object', additionalProperties: true })),
  ),
  user,
});

export type SessionSpec = Static<typeof sessionSpec>;
/** A spec with every default filled in, as it is stored. */
export type CompleteSessionSpec = Required<SessionSpec>;
export type SessionStatus = Omit<Static<typeof sessionStatus>, 'conditions'> & { conditions?: Condition[] };
export type SessionDocument = Omit<Static<typeof sessionDocument>, 'spec'> & { spec: CompleteSessionSpec };
export type Endpoint = Static<typeof endpoint>;
export type SessionUser = Static<typeof user>;

export interface Session {
  apiVersion: 'sojourn.dev/v1alpha1';
  kind: 'Session';
  metadata: ObjectMeta;
  spec: SessionSpec;
  status?: SessionStatus;
}
