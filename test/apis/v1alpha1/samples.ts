import type { Runtime } from '../../../apis/agentcube/runtime.ts';
import { newSandbox } from '../../../apis/v1alpha1/new-sandbox.ts';
import type { Sandbox } from '../../../apis/v1alpha1/sandbox.ts';
import type { CompleteSessionSpec } from '../../../apis/v1alpha1/types.ts';
import type { TrustAnchors } from '../../../apis/wire/trust-anchor.ts';

export const runtime: Runtime = {
  kind: 'CodeInterpreter',
  name: 'py',
  namespace: 'default',
  uid: '7e0c4d0e-8f2d-4b57-9d3e-1c2a3b4c5d6e',
  generation: 3,
  limits: { idleTimeout: '15m', maxDuration: '8h' },
  endpoints: [{ pathPrefix: '/', port: 8080, protocol: 'HTTP' }],
  authMode: 'sojourn',
  podTemplate: {
    metadata: { labels: {}, annotations: {} },
    spec: { containers: [{ name: 'code-interpreter', image: 'x' }] },
  },
};

export const spec: CompleteSessionSpec = {
  runtimeRef: { kind: 'CodeInterpreter', name: 'py' },
  idleTimeout: '15m',
  maxDuration: '8h',
  idleAction: 'Delete',
  suspended: false,
};

export const anchors: TrustAnchors = { rootKey: 'ROOT', picodKey: 'PICOD' };

/** A Sandbox as kube-apiserver would store it after a cold start. */
export function storedSandbox(change: (sandbox: Sandbox) => void = () => undefined): Sandbox {
  const sandbox = newSandbox(
    {
      metadata: {
        name: 'py-x7k2p',
        namespace: 'default',
        labels: { app: 'web', 'foo.com/bar': 'baz' },
        annotations: { note: 'hi' },
      },
      spec,
      runtime,
      user: { username: 'alice', uid: 'u-1' },
      now: Date.parse('2026-11-21T06:30:00Z'),
    },
    anchors,
  );
  Object.assign(sandbox.metadata, {
    uid: '3b241101-e2bb-4255-8caf-4136c566a962',
    resourceVersion: '1042',
    generation: 1,
    creationTimestamp: '2026-11-21T06:30:01Z',
  });
  change(sandbox);
  return sandbox;
}

/** A condition as the controller writes it. */
export function condition(
  type: string,
  status: 'True' | 'False' | 'Unknown',
  reason: string,
  since = '2026-11-21T06:31:00Z',
) {
  return { type, status, reason, message: `${reason} here`, lastTransitionTime: since };
}
