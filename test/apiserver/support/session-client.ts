import type { KubeResponse } from '../../../apis/client/transport.ts';
import type { Status } from '../../../apis/machinery/meta.ts';
import type { Sandbox } from '../../../apis/v1alpha1/sandbox.ts';
import { sandboxPath } from '../../../apis/v1alpha1/sandbox-paths.ts';
import type { Phase, Session, SessionSpec } from '../../../apis/v1alpha1/types.ts';
import { sessionsPath } from '../../support/caller.ts';
import type { TestCluster } from '../../support/cluster.ts';
import { until } from '../../support/until.ts';

export const mergePatch = 'application/merge-patch+json';
export const jsonPatch = 'application/json-patch+json';

export interface PatchOptions {
  /** A merge patch when absent. */
  type?: string;
  query?: Record<string, string> | undefined;
}

/** Creates, reads and changes the sessions of one namespace as the admin, all of the runtime `none`. */
export class SessionClient {
  readonly #env: TestCluster;
  readonly #namespace: () => string;

  constructor(env: TestCluster, namespace: () => string) {
    this.#env = env;
    this.#namespace = namespace;
  }

  path(name: string): string {
    return `${sessionsPath(this.#namespace())}/${name}`;
  }

  async create(name: string, spec: Partial<SessionSpec> = {}, metadata: object = {}): Promise<Session> {
    return await this.#env.client.request<Session>({
      method: 'POST',
      path: sessionsPath(this.#namespace()),
      body: {
        apiVersion: 'sojourn.dev/v1alpha1',
        kind: 'Session',
        metadata: { name, ...metadata },
        spec: { ...spec, runtimeRef: { kind: 'CodeInterpreter', name: 'none' } },
      },
    });
  }

  async read(name: string): Promise<Session> {
    return await this.#env.client.request<Session>({ path: this.path(name) });
  }

  async sandboxOf(name: string): Promise<Sandbox> {
    return await this.#env.client.request<Sandbox>({ path: sandboxPath(this.#namespace(), name) });
  }

  async patch(
    name: string,
    body: unknown,
    { type = mergePatch, query = {} }: PatchOptions = {},
  ): Promise<KubeResponse> {
    return await this.#env.client.requestRaw({
      ...{ method: 'PATCH', path: this.path(name), query, body },
      contentType: type,
    });
  }

  async put(name: string, body: object): Promise<KubeResponse> {
    return await this.#env.client.requestRaw({ method: 'PUT', path: this.path(name), body });
  }

  /** Asks for the end of a session, which a finalizer may put off. */
  async delete(name: string): Promise<void> {
    await this.#env.client.request({ method: 'DELETE', path: this.path(name) });
  }

  /** Waits until a session is Ready. */
  async ready(name: string): Promise<Session> {
    return await this.inPhase(name, 'Ready');
  }

  async inPhase(name: string, phase: Phase): Promise<Session> {
    return await until(`${name} to be ${phase}`, async () => {
      const session = await this.read(name);
      return session.status?.phase === phase ? session : undefined;
    });
  }

  /** Waits until agent-sandbox has seen every change of a session: it writes down in the Sandbox that it has. */
  async noticed(name: string): Promise<void> {
    await until(`every change of ${name} to be noticed`, async () => {
      const { metadata, status } = await this.sandboxOf(name);
      const { conditions = [] } = status ?? {};
      return (
        conditions.length > 0 &&
        conditions.every(({ observedGeneration }) => observedGeneration === metadata.generation)
      );
    });
  }

  /** Waits until a session is no more; longer than 30 s where somebody slow has to let it go. */
  async gone(name: string, { deadlineMs = 30_000 }: { deadlineMs?: number } = {}): Promise<void> {
    await until(
      `${name} to go`,
      async () => (await this.#env.client.requestRaw({ path: this.path(name) })).status === 404,
      { deadlineMs },
    );
  }
}

export function statusIn(answer: KubeResponse): Status {
  return JSON.parse(answer.body.toString('utf8')) as Status;
}

export function sessionIn(answer: KubeResponse): Session {
  return JSON.parse(answer.body.toString('utf8')) as Session;
}
