/**
 * Every name that several parts of Sojourn, or its users, must agree on. Nothing else is ever written on a Sandbox;
 * the ValidatingAdmissionPolicy in deploy/base guards exactly these keys.
 */

export const group = 'sojourn.dev';
export const version = 'v1alpha1';
export const groupVersion = `${group}/${version}`;
export const kind = 'Session';
export const resource = 'sessions';

export const sandboxApi = {
  group: 'agents.x-k8s.io',
  groupVersion: 'agents.x-k8s.io/v1beta1',
  path: '/apis/agents.x-k8s.io/v1beta1',
  kind: 'Sandbox',
  resource: 'sandboxes',
} as const;

/** agent-sandbox's templates and warm pools. */
export const poolApi = {
  group: 'extensions.agents.x-k8s.io',
  groupVersion: 'extensions.agents.x-k8s.io/v1beta1',
  path: '/apis/extensions.agents.x-k8s.io/v1beta1',
  pool: { kind: 'SandboxWarmPool', resource: 'sandboxwarmpools' },
  template: { kind: 'SandboxTemplate', resource: 'sandboxtemplates' },
  /** Label of a Sandbox while it waits unclaimed in a warm pool. */
  memberLabel: 'agents.x-k8s.io/warm-pool-sandbox',
} as const;

export const runtimeApi = {
  group: 'runtime.agentcube.volcano.sh',
  groupVersion: 'runtime.agentcube.volcano.sh/v1alpha1',
  path: '/apis/runtime.agentcube.volcano.sh/v1alpha1',
} as const;

export const labels = {
  /** Marks a Sandbox that is a session; whoever looks for sessions among all Sandboxes selects on it. */
  session: 'sojourn.dev/session',
  /** On every podTemplate of ours, so on every Pod that we may dial; and on the pools and templates of a runtime. */
  runtime: 'sojourn.dev/runtime',
  /** Hash of the Idempotency-Key that a session was created with, of its namespace and user. */
  idempotencyKey: 'sojourn.dev/idempotency-key',
} as const;

/** Label selector of the Sandboxes that are sessions. */
export const sessionSelector = `${labels.session}=true`;

/** Domain under which a user's own labels are mirrored onto the Sandbox. */
export const userLabelDomain = 'u.sojourn.dev';

export const annotations = {
  /** The session document (JSON). */
  session: 'sojourn.dev/session',
  /** RFC 3339 time of the last activity that was flushed. */
  activity: 'sojourn.dev/activity',
  /** Why the Pod does not run (JSON, see v1alpha1/failure.ts), copied from it by whoever saw it first. */
  failure: 'sojourn.dev/failure',
  /** Set while the session is suspended for being idle. */
  idleSuspended: 'sojourn.dev/idle-suspended',
  /** RFC 3339 time at which a resume was sent. */
  resumed: 'sojourn.dev/resumed',
  /** Hash of what was asked for with an Idempotency-Key. */
  request: 'sojourn.dev/request',
  /** Set once a retry was answered with this session, so that nobody takes it back. */
  retried: 'sojourn.dev/retried',
  /** Of a warm pool and its template: what they were made of (JSON). */
  pool: 'sojourn.dev/pool',
  /** Of a runtime: size of the volume that each of its sandboxes gets, mounted at /workspace. */
  workspace: 'sojourn.dev/workspace',
} as const;

/** The garbage collector's two finalizers of a Session, as they are stored on its Sandbox. */
export const finalizers = {
  foregroundDeletion: 'sojourn.dev/foregroundDeletion',
  orphan: 'sojourn.dev/orphan',
} as const;

export const systemNamespace = 'sojourn-system';

export const accounts = {
  apiserver: 'sojourn-apiserver',
  proxy: 'sojourn-proxy',
} as const;

export const secrets = {
  rootKey: 'sojourn-root-key',
  signingKeys: 'sojourn-signing-keys',
  picodKeys: 'sojourn-picod-keys',
} as const;

/** Annotation of a key Secret, of any value: whichever process sees it adds a new key and takes the annotation away. */
export const rotateAnnotation = 'sojourn.dev/rotate';

/** Names of the ValidatingAdmissionPolicies (and their bindings) that guard session data and warm pools. */
export const sessionGuardPolicy = 'sojourn-session-guard';
export const poolGuardPolicy = 'sojourn-pool-guard';

/** The daemon's image; the local node maps it to the daemon of this checkout. */
export const daemonImage = 'ghcr.io/sojourn-dev/sojourn-daemon';
