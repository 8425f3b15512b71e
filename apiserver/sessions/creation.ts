import { ApiError, hasReason } from '../../apis/machinery/errors.ts';
import { accounts, group, labels, resource } from '../../apis/names.ts';
import { metadataCauses } from '../../apis/v1alpha1/metadata-rules.ts';
import { type NewSession, newSandbox } from '../../apis/v1alpha1/new-sandbox.ts';
import { projectSession } from '../../apis/v1alpha1/projection.ts';
import type { Sandbox } from '../../apis/v1alpha1/sandbox.ts';
import { sandboxesPath, sandboxPath } from '../../apis/v1alpha1/sandbox-paths.ts';
import { completeSpec, runtimeCauses, specCauses } from '../../apis/v1alpha1/spec-rules.ts';
import type { Session, SessionUser } from '../../apis/v1alpha1/types.ts';
import type { DatedTrustAnchors } from '../../apis/wire/trust-anchor.ts';
import type { WarmOffer, WarmStarts } from '../pools/warm-starts.ts';
import type { QuotaCharges } from '../quota/quota-charges.ts';
import { blockedCauses, type DecodedSession, invalidSession } from './decode.ts';
import { Retries, type RetryKey, retryMarks, retryName, underWay } from './idempotency.ts';
import type { Owners } from './ownership.ts';
import { type RuntimeSource, resolveRuntime } from './runtimes.ts';
import { refuseOversize } from './size.ts';
import { translateUpstreamError } from './upstream-errors.ts';
import type { DryRun } from './write-options.ts';

/** How many names a keyed cold start tries; another session has one of them once in 14 million. */
const keyedNames = 5;

export interface SessionCreationOptions extends RuntimeSource {
  warmStarts: WarmStarts;
  quotas: QuotaCharges;
  /** The keys that new sandboxes trust. */
  trustAnchors: () => DatedTrustAnchors;
  /** Milliseconds since the epoch. */
  now: () => number;
}

export interface CreateOptions {
  user: SessionUser;
  dryRun: DryRun;
  retryKey?: RetryKey | undefined;
  /** Who owns which field. */
  owners: Owners;
}

/** A created Session, or the one that an earlier request with the same Idempotency-Key created. */
export interface CreatedSession {
  session: Session;
  found: boolean;
  /** Texts for Warning headers. */
  warnings: string[];
}

interface Prepared {
  session: NewSession;
  offer: WarmOffer;
}

/** Makes Sessions: warm from the runtime's pool where there is one, else cold; either is one write. */
export class SessionCreation {
  readonly #options: SessionCreationOptions;
  readonly #retries: Retries;

  constructor(options: SessionCreationOptions) {
    this.#options = options;
    this.#retries = new Retries(options.client, options.now);
  }

  /** @throws ApiError of the Session: NotFound of its runtime, Invalid with every cause, AlreadyExists, and others. */
  async create(namespace: string, decoded: DecodedSession, options: CreateOptions): Promise<CreatedSession> {
    try {
      return options.retryKey === undefined
        ? await this.#createNew(namespace, decoded, options)
        : await this.#createOnce(namespace, decoded, options, options.retryKey);
    } catch (error) {
      throw translateUpstreamError(error);
    }
  }

  async #createNew(namespace: string, decoded: DecodedSession, options: CreateOptions): Promise<CreatedSession> {
    const { session, offer } = await this.#prepare(namespace, decoded, options);
    await this.#charge(session, options.dryRun);
    const { warmStarts } = this.#options;
    const sandbox =
      (await warmStarts.adopt(session, offer, options.dryRun)) ?? (await this.#startCold(session, options.dryRun));
    return created(sandbox, offer);
  }

  async #createOnce(
    namespace: string,
    decoded: DecodedSession,
    options: CreateOptions,
    key: RetryKey,
  ): Promise<CreatedSession> {
    let prepared: Prepared;
    try {
      // Before the look for an earlier session, so that a member that one took meanwhile is among the candidates.
      prepared = await this.#prepare(namespace, decoded, options);
    } catch (error) {
      // What was right then may be wrong by now: the runtime may even be gone.
      const earlier = await this.#earlier(key, options.dryRun);
      if (earlier !== undefined) return found(earlier);
      throw error;
    }
    const earlier = await this.#earlier(key, options.dryRun);
    if (earlier !== undefined) return found(earlier);
    const { session, offer } = prepared;
    const { dryRun } = options;
    await this.#charge(session, dryRun);
    const warm = await this.#adoptKeyed(session, offer, options, key);
    if (warm !== undefined) return warm;
    for (let attempt = 1; attempt <= keyedNames; attempt += 1) {
      try {
        const made = await this.#startCold(withName(session, key, attempt), dryRun);
        if (dryRun !== undefined) return created(made, offer);
        const settled = await this.#retries.settle(key, made);
        if (settled !== undefined) {
          return settled.metadata.uid === made.metadata.uid ? created(settled, offer) : found(settled);
        }
      } catch (error) {
        if (!hasReason(error, 'AlreadyExists')) throw error;
        const first = await this.#earlier(key, dryRun);
        if (first !== undefined) return found(first);
        if (session.metadata.name !== undefined && session.metadata.name !== '') throw error;
      }
    }
    throw underWay();
  }

  /** The session of an earlier request with a key. A dry run leaves no mark on it that it was an answer. */
  async #earlier(key: RetryKey, dryRun: DryRun): Promise<Sandbox | undefined> {
    return dryRun === undefined ? await this.#retries.find(key) : await this.#retries.preview(key);
  }

  /** One candidate after the other, looking for an earlier session whenever somebody was faster. */
  async #adoptKeyed(
    session: NewSession,
    offer: WarmOffer,
    { dryRun }: CreateOptions,
    key: RetryKey,
  ): Promise<CreatedSession | undefined> {
    for (const member of offer.candidates) {
      const made = await this.#options.warmStarts.adopt(session, { ...offer, candidates: [member] }, dryRun);
      if (made !== undefined && dryRun !== undefined) return created(made, offer);
      const settled = made === undefined ? await this.#earlier(key, dryRun) : await this.#retries.settle(key, made);
      if (settled !== undefined) {
        return settled.metadata.uid === made?.metadata.uid ? created(settled, offer) : found(settled);
      }
      // All have withdrawn: only names can tell them apart.
      if (made !== undefined) return undefined;
    }
    return undefined;
  }

  /** Everything that is checked before the write, and what the pool has. */
  async #prepare(
    namespace: string,
    decoded: DecodedSession,
    { user, retryKey, owners }: CreateOptions,
  ): Promise<Prepared> {
    const { now, trustAnchors, warmStarts } = this.#options;
    const metadata = { ...decoded.metadata, namespace };
    const shownName = metadata.name ?? metadata.generateName ?? '';
    refuseOversize(decoded);
    const causes = [...metadataCauses(metadata), ...decoded.causes];
    const blocked = blockedCauses(causes);
    if (blocked !== undefined) throw invalidSession(shownName, blocked);
    if (decoded.causes.length > 0) throw invalidSession(shownName, causes);
    const runtime = await resolveRuntime(this.#options, namespace, decoded.spec.runtimeRef);
    const unusable = runtimeCauses(runtime);
    if (unusable.length > 0) throw invalidSession(shownName, [...causes, ...unusable]);
    const spec = completeSpec(decoded.spec, runtime.limits);
    causes.push(...specCauses(spec, runtime.limits));
    if (causes.length > 0) throw invalidSession(shownName, causes);
    // Storage finds this out, and has no reason for it (k8s.io/apiserver/pkg/storage/etcd3, errResourceVersionSetOnCreate).
    if (/^0*[1-9]\d*$/.test(metadata.resourceVersion ?? '')) {
      throw new ApiError('Unknown', 'resourceVersion should not be set on objects to be created');
    }
    const retry = retryKey === undefined ? {} : { retry: retryMarks(retryKey) };
    return {
      session: { metadata, spec, runtime, user, managedFields: owners(spec), now: now(), ...retry },
      // A session that is held from the beginning has no Pod, so it needs none of the pool's.
      offer: spec.suspended
        ? { candidates: [], warning: undefined }
        : warmStarts.offer({ runtime, metadata, anchors: trustAnchors(), seed: retryKey?.hash }),
    };
  }

  /** What is refused after this was charged all the same, as kube-apiserver has it. */
  async #charge({ metadata: { namespace = '', name, generateName = '' } }: NewSession, dryRun: DryRun): Promise<void> {
    await this.#options.quotas.charge({ namespace, name: name || generateName }, dryRun);
  }

  async #startCold(session: NewSession, dryRun: DryRun): Promise<Sandbox> {
    const { namespace = '', name } = session.metadata;
    try {
      return await this.#options.client.request<Sandbox>({
        method: 'POST',
        path: sandboxesPath(namespace),
        // The Sandbox is ours to write; whose fields are whose is a matter of the Session.
        query: { dryRun, fieldManager: accounts.apiserver },
        body: newSandbox(session, this.#options.trustAnchors()),
      });
    } catch (error) {
      throw hasReason(error, 'AlreadyExists') ? await this.#nameTaken(namespace, name, error) : error;
    }
  }

  async #nameTaken(namespace: string, name: string | undefined, error: ApiError): Promise<ApiError> {
    if (name === undefined) return error;
    let existing: Sandbox;
    try {
      existing = await this.#options.client.request<Sandbox>({ path: sandboxPath(namespace, name) });
    } catch (failure) {
      if (!(failure instanceof ApiError)) throw failure;
      // That the name is taken is certain; who has it only makes a better sentence.
      return error;
    }
    if (existing.metadata.labels?.[labels.session] === 'true') return error;
    const message = `${resource}.${group} "${name}" cannot be created: a Sandbox of that name exists that is no session; choose another name`;
    return new ApiError('AlreadyExists', message, { details: { name, group, kind: resource }, cause: error });
  }
}

function withName(session: NewSession, key: RetryKey, attempt: number): NewSession {
  const { name, generateName } = session.metadata;
  if ((name !== undefined && name !== '') || generateName === undefined) return session;
  return { ...session, metadata: { ...session.metadata, name: retryName(generateName, key, attempt) } };
}

function created(sandbox: Sandbox, { warning }: WarmOffer): CreatedSession {
  return { session: projectSession(sandbox), found: false, warnings: warning === undefined ? [] : [warning] };
}

function found(sandbox: Sandbox): CreatedSession {
  return { session: projectSession(sandbox), found: true, warnings: [] };
}
