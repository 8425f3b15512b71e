import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { tookPlace } from '../../apis/client/fenced-write.ts';
import type { KubeClient } from '../../apis/client/transport.ts';
import { hashOf } from '../../apis/machinery/canonical.ts';
import { ApiError } from '../../apis/machinery/errors.ts';
import type { KubeList } from '../../apis/machinery/meta.ts';
import { annotations, labels, sessionSelector } from '../../apis/names.ts';
import { readDocument } from '../../apis/v1alpha1/document.ts';
import type { RetryMarks } from '../../apis/v1alpha1/new-sandbox.ts';
import type { Sandbox } from '../../apis/v1alpha1/sandbox.ts';
import { sandboxChange } from '../../apis/v1alpha1/sandbox-change.ts';
import { sandboxesPath, sandboxPath } from '../../apis/v1alpha1/sandbox-paths.ts';
import type { SessionUser } from '../../apis/v1alpha1/types.ts';
import { type DecodedSession, invalidSession } from './decode.ts';

const printable = /^[\x21-\x7e]{1,255}$/;
const hashLength = 40;
/** Characters of generated names (k8s.io/apimachinery/pkg/util/rand). */
const nameAlphabet = 'bcdfghjklmnpqrstvwxz2456789';
const generatedPrefixLength = 58;
/** Requests are over by then, so a session of that age is nobody's to take back. */
const undecidedMs = 60_000;
const rounds = 40;
/** Rounds after which it is clear that nobody else withdraws. */
const patientRounds = 5;

/** One request that may be sent again. */
export interface RetryKey {
  namespace: string;
  /** Hash of namespace, user and key; the label's value. */
  hash: string;
  /** Hash of what was asked for. */
  request: string;
  /** What the request calls its session: a name, or the beginning of one. */
  shownName: string;
}

/**
 * The Idempotency-Key of a create: a key belongs to its namespace and user.
 * @throws ApiError BadRequest.
 */
export function retryKey(
  header: string | string[] | undefined,
  { namespace, user, decoded }: { namespace: string; user: SessionUser; decoded: DecodedSession },
): RetryKey | undefined {
  if (header === undefined) return undefined;
  if (typeof header !== 'string' || !printable.test(header)) {
    throw new ApiError('BadRequest', 'Idempotency-Key must be 1 to 255 printable ASCII characters without spaces');
  }
  const { name, generateName, labels: own, annotations: notes, ownerReferences, finalizers } = decoded.metadata;
  const chosen = { name, generateName, labels: own, annotations: notes, ownerReferences, finalizers };
  return {
    namespace,
    hash: hashOf([namespace, user.username, header]).slice(0, hashLength),
    request: hashOf([chosen, decoded.spec]).slice(0, hashLength),
    shownName: name ?? generateName ?? '',
  };
}

/** What the Sandbox of a keyed session carries. */
export function retryMarks({ hash, request }: RetryKey): RetryMarks {
  return { labels: { [labels.idempotencyKey]: hash }, annotations: { [annotations.request]: request } };
}

/** The name that a keyed cold start takes in place of a random one, so that of two at once one is refused. */
export function retryName(generateName: string, { hash }: RetryKey, attempt: number): string {
  const bytes = createHash('sha256').update(`${hash}/${attempt}`).digest();
  const suffix = Array.from(bytes.subarray(0, 5), (byte) => nameAlphabet[byte % nameAlphabet.length]);
  return `${generateName.slice(0, generatedPrefixLength)}${suffix.join('')}`;
}

/**
 * Makes one session of several requests with the same key, in whatever processes. A warm start may give two of them a
 * session each, because they take different members of the pool; so whoever has made one looks again:
 *
 * - alone, it is the session: whoever comes later sees it;
 * - else its maker withdraws it: the one with the least uid at once, others when it helps nothing to wait for that.
 *
 * Only its maker deletes a session, and not once it is marked as the answer to somebody else's request; who answers with a
 * session that he did not make marks it first, while it is the only one. Both writes are fenced by the resourceVersion that
 * was seen, so only one of them happens. When all have withdrawn, the name of a cold start, which is made of the key,
 * lets one of them through.
 */
export class Retries {
  readonly #client: KubeClient;
  readonly #now: () => number;

  /** @param now milliseconds since the epoch. */
  constructor(client: KubeClient, now: () => number) {
    this.#client = client;
    this.#now = now;
  }

  /**
   * The session of an earlier request with this key.
   * @throws ApiError Invalid when that asked for something else.
   */
  async find(key: RetryKey): Promise<Sandbox | undefined> {
    return await this.#settle(key, undefined);
  }

  /**
   * The session that a request would be answered with if it were no dry run; changes nothing.
   * @throws ApiError Invalid when that asked for something else.
   */
  async preview(key: RetryKey): Promise<Sandbox | undefined> {
    const all = await this.#list(key);
    const earlier = all.find((sandbox) => this.#isAnswer(sandbox)) ?? all[0];
    return earlier === undefined ? undefined : checked(earlier, key);
  }

  /**
   * The one session of all requests with a key, one of which has just made `mine`; undefined when all of them have withdrawn.
   * @throws ApiError Invalid when another one asked for something else.
   */
  async settle(key: RetryKey, mine: Sandbox): Promise<Sandbox | undefined> {
    return await this.#settle(key, mine.metadata.uid);
  }

  async #settle(key: RetryKey, mine: string | undefined): Promise<Sandbox | undefined> {
    for (let round = 1; round <= rounds; round += 1) {
      const all = await this.#list(key);
      const own = all.find(({ metadata }) => metadata.uid === mine);
      if (own !== undefined && (all.length === 1 || this.#isAnswer(own))) return own;
      if (own !== undefined) {
        const isInVain = round > patientRounds || all.some((sandbox) => this.#isAnswer(sandbox));
        if (own === all[0] || isInVain) await this.#withdraw(own);
      } else {
        if (all.length === 0) return undefined;
        const answer = all.find((sandbox) => this.#isAnswer(sandbox));
        if (answer !== undefined) return checked(answer, key);
        const [only, ...others] = all;
        if (only !== undefined && others.length === 0) {
          checked(only, key);
          if (await this.#mark(only)) return only;
        }
      }
      await delay(10 + Math.random() * 40);
    }
    throw underWay();
  }

  /** Sessions of a key that are there to stay, by uid. */
  async #list({ namespace, hash }: RetryKey): Promise<Sandbox[]> {
    const { items } = await this.#client.request<KubeList<Sandbox>>({
      path: sandboxesPath(namespace),
      query: { labelSelector: `${sessionSelector},${labels.idempotencyKey}=${hash}` },
    });
    return items
      .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
      .sort((a, b) => ((a.metadata.uid ?? '') < (b.metadata.uid ?? '') ? -1 : 1));
  }

  /** Whether nobody takes a session back any more. */
  #isAnswer(sandbox: Sandbox): boolean {
    if (sandbox.metadata.annotations?.[annotations.retried] !== undefined) return true;
    const result = readDocument(sandbox);
    return 'problem' in result || this.#now() - Date.parse(result.document.creationTimestamp) > undecidedMs;
  }

  async #mark(sandbox: Sandbox): Promise<boolean> {
    const { uid, resourceVersion } = sandbox.metadata;
    return await tookPlace(
      this.#client.request(
        sandboxChange(sandbox.metadata, {
          metadata: { uid, resourceVersion, annotations: { [annotations.retried]: 'true' } },
        }),
      ),
    );
  }

  async #withdraw(sandbox: Sandbox): Promise<boolean> {
    const { uid, resourceVersion } = sandbox.metadata;
    return await tookPlace(
      this.#client.request({
        method: 'DELETE',
        path: pathOf(sandbox),
        body: {
          kind: 'DeleteOptions',
          apiVersion: 'v1',
          propagationPolicy: 'Background',
          preconditions: { uid, resourceVersion },
        },
      }),
    );
  }
}

/** The 409 of a request whose like is being decided about. */
export function underWay(): ApiError {
  return new ApiError('Conflict', 'other requests with this Idempotency-Key are under way; try again', {
    retryAfterSeconds: 1,
  });
}

function pathOf({ metadata: { namespace = '', name = '' } }: Sandbox): string {
  return sandboxPath(namespace, name);
}

/** A key stands for one request, so another one with it is a mistake of its sender. */
function checked(found: Sandbox, { request, shownName }: RetryKey): Sandbox {
  if (found.metadata.annotations?.[annotations.request] === request) return found;
  const message = 'Forbidden: another request was sent with this Idempotency-Key; use a new key';
  throw invalidSession(shownName, [{ reason: 'FieldValueForbidden', message, field: 'Idempotency-Key' }]);
}
