import { Counter, type Registry } from 'prom-client';
import type { KubeClient, KubeRequest } from '../../apis/client/transport.ts';
import { ApiError } from '../../apis/machinery/errors.ts';
import { accounts, groupVersion, kind, resource } from '../../apis/names.ts';
import type { Session, SessionSpec } from '../../apis/v1alpha1/types.ts';
import { type Caller, onBehalfOf, onBehalfOfHeader } from '../access/caller.ts';
import type { InFlight } from '../invocation/limits.ts';

export interface CallerSessionsOptions {
  client: KubeClient;
  /** The places that calls and creations share. */
  inFlight: InFlight;
  registry: Registry;
}

/** A generated name is this prefix, "-" and five characters of chance, 63 in all at most. */
const longestPrefix = 57;

/**
 * Sessions created and deleted through kube-apiserver as whoever called the proxy: with the caller's own token where
 * there is one, so that kube-apiserver itself authorises, audits and names the creator.
 */
export class CallerSessions {
  readonly #client: KubeClient;
  readonly #inFlight: InFlight;
  readonly #creations: Counter<'start' | 'code'>;

  constructor({ client, inFlight, registry }: CallerSessionsOptions) {
    this.#client = client;
    this.#inFlight = inFlight;
    this.#creations = new Counter({
      name: 'sojourn_session_creations_total',
      help: 'Sessions that the proxy was asked to create, by kind of start (Warm, Cold, None when it failed) and HTTP status.',
      labelNames: ['start', 'code'],
      registers: [registry],
    });
  }

  /**
   * Creates a session of a runtime, named after it. Counts as a call in flight meanwhile.
   * @param namespace a valid name of a namespace.
   * @throws ApiError TooManyRequests when too many calls are in flight; else as kube-apiserver answered: Forbidden,
   * NotFound with the runtime in its details, Invalid, ...
   */
  async create(caller: Caller, namespace: string, runtimeRef: SessionSpec['runtimeRef']): Promise<Session> {
    try {
      const post = () => this.#post(caller, namespace, runtimeRef);
      const session = await this.#inPlace(caller.user.username, `${namespace}/`, post);
      this.#creations.inc({ start: session.status?.start ?? 'Cold', code: 201 });
      return session;
    } catch (error) {
      this.#creations.inc({ start: 'None', code: error instanceof ApiError ? error.code : 500 });
      throw error;
    }
  }

  /**
   * Waits for something of a caller's session as a call in flight of it, so that waits too are limited.
   * @throws ApiError TooManyRequests when too many calls are in flight; else what the wait throws.
   */
  async waiting<T>({ user }: Caller, { metadata }: Session, wait: () => Promise<T>): Promise<T> {
    const { namespace = '', name = '' } = metadata;
    return await this.#inPlace(user.username, `${namespace}/${name}`, wait);
  }

  async #inPlace<T>(username: string, place: string, act: () => Promise<T>): Promise<T> {
    this.#inFlight.enter(username, place);
    try {
      return await act();
    } finally {
      this.#inFlight.leave(username, place);
    }
  }

  async #post(caller: Caller, namespace: string, runtimeRef: SessionSpec['runtimeRef']): Promise<Session> {
    // Names of sessions are labels; those of runtimes may have dots and be longer.
    const prefix = runtimeRef.name.replaceAll('.', '-').slice(0, longestPrefix);
    return await this.#request<Session>({
      method: 'POST',
      path: collectionPath(namespace),
      // Whoever called says nothing of fields; the spec is made here.
      query: { fieldManager: accounts.proxy },
      body: { apiVersion: groupVersion, kind, metadata: { generateName: `${prefix}-` }, spec: { runtimeRef } },
      ...asCaller(caller),
    });
  }

  /**
   * Deletes exactly this session: another one that has its name by now stays.
   * @throws ApiError as kube-apiserver answered: Forbidden, NotFound, Conflict when it was another one, ...
   */
  async delete(caller: Caller, { metadata }: Session): Promise<void> {
    const { namespace = '', name = '', uid } = metadata;
    await this.#request({
      method: 'DELETE',
      path: `${collectionPath(namespace)}/${name}`,
      body: { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid } },
      ...asCaller(caller),
    });
  }

  /** What went wrong on the inside is told without kube-apiserver's words: they name addresses of the cluster's. */
  async #request<T>(request: KubeRequest): Promise<T> {
    try {
      return await this.#client.request<T>(request);
    } catch (error) {
      if (!(error instanceof ApiError) || error.code < 500) throw error;
      throw new ApiError(error.reason, 'sessions cannot be created or deleted at the moment; try again', {
        code: error.code,
        cause: error,
        // Who is told when to come back may come back by himself, and have two sessions.
        ...(error.reason === 'Timeout' ? {} : { retryAfterSeconds: error.retryAfterSeconds ?? 1 }),
      });
    }
  }
}

function collectionPath(namespace: string): string {
  return `/apis/${groupVersion}/namespaces/${namespace}/${resource}`;
}

function asCaller({ credential, user }: Caller): Pick<KubeRequest, 'token' | 'headers'> {
  return credential.kind === 'token'
    ? { token: credential.token }
    : { headers: { [onBehalfOfHeader]: onBehalfOf(user) } };
}
