import type { KubeClient } from '../../../apis/client/transport.ts';
import { annotations, sandboxApi } from '../../../apis/names.ts';
import type { Sandbox } from '../../../apis/v1alpha1/sandbox.ts';

/** What kube-apiserver has of a session's activity; times are milliseconds since the epoch. */
export interface StoredSession {
  activityAt: number | undefined;
  endsAt: number;
  /** Grows with every write that moves the deadline; the controller writes the status alone. */
  generation: number;
  sandbox: Sandbox;
}

/** Reads a session's Sandbox; undefined when it is gone. */
export async function readStored(
  client: KubeClient,
  namespace: string,
  name: string,
): Promise<StoredSession | undefined> {
  const path = `${sandboxApi.path}/namespaces/${namespace}/${sandboxApi.resource}/${name}`;
  const answer = await client.requestRaw({ path });
  if (answer.status === 404) return undefined;
  const sandbox = JSON.parse(answer.body.toString('utf8')) as Sandbox;
  const activity = sandbox.metadata.annotations?.[annotations.activity];
  return {
    activityAt: activity === undefined ? undefined : Date.parse(activity),
    endsAt: Date.parse(sandbox.spec?.shutdownTime ?? ''),
    generation: sandbox.metadata.generation ?? 0,
    sandbox,
  };
}
