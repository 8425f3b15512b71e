import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { KubeClient } from '../../apis/client/transport.ts';
import { hasReason } from '../../apis/machinery/errors.ts';
import type { StatusCause } from '../../apis/machinery/meta.ts';
import { forbiddenValue } from '../../apis/machinery/names.ts';
import { accounts } from '../../apis/names.ts';
import { readDocument } from '../../apis/v1alpha1/document.ts';
import { finalizerWarnings, metadataUpdateCauses } from '../../apis/v1alpha1/metadata-rules.ts';
import { projectSession } from '../../apis/v1alpha1/projection.ts';
import type { Sandbox } from '../../apis/v1alpha1/sandbox.ts';
import { sandboxChange } from '../../apis/v1alpha1/sandbox-change.ts';
import { type SessionUpdate, sandboxPatch } from '../../apis/v1alpha1/session-update.ts';
import { completeSpec, specUpdateCauses } from '../../apis/v1alpha1/spec-rules.ts';
import type { CompleteSessionSpec, Session, SessionDocument } from '../../apis/v1alpha1/types.ts';
import { blockedCauses, type DecodedSession, invalidSession } from './decode.ts';
import type { OwnedChange } from './ownership.ts';
import type { SandboxReads } from './sandbox-reads.ts';
import { refuseOversize } from './size.ts';
import { translateUpstreamError } from './upstream-errors.ts';
import { withWarnings } from './warned.ts';
import type { DryRun } from './write-options.ts';

/** How long a change is made again because somebody else wrote the Sandbox in between; kube-apiserver sets no limit. */
const patienceMs = 30_000;
/** Those who met once must not meet again and again. */
const longestPauseMs = 50;

export interface SessionUpdatesOptions {
  client: KubeClient;
  reads: SandboxReads;
  /** Milliseconds since the epoch. */
  now: () => number;
}

/** A Session after a change, and texts for Warning headers. */
export interface ChangedSession {
  session: Session;
  warnings: string[];
}

/** Changes of stored Sessions: each is one write, fenced by the resourceVersion it was made from. */
export class SessionUpdates {
  readonly #options: SessionUpdatesOptions;

  constructor(options: SessionUpdatesOptions) {
    this.#options = options;
  }

  /**
   * Applies a change to the Session as it is now, again and again while others write it.
   * @throws ApiError NotFound, Conflict, Invalid with every cause, and whatever the change or kube-apiserver refuses.
   */
  async update(
    namespace: string,
    name: string,
    change: OwnedChange,
    { dryRun }: { dryRun: DryRun },
  ): Promise<ChangedSession> {
    const begun = performance.now();
    for (let attempt = 1; ; attempt += 1) {
      const sandbox = await this.#options.reads.sandbox(namespace, name);
      const { next, document, warnings } = nextSession(sandbox, change);
      const patch = sandboxPatch(sandbox, document, next, this.#options.now());
      if (patch === undefined) return { session: projectSession(sandbox), warnings };
      try {
        const written = await this.#options.client.request<Sandbox>({
          ...sandboxChange({ namespace, name }, patch),
          query: { dryRun, fieldManager: accounts.apiserver },
        });
        return { session: projectSession(written), warnings };
      } catch (error) {
        // Who asked for one state of the session gets the conflict from the change itself, next time round.
        if (!hasReason(error, 'Conflict') || performance.now() - begun > patienceMs)
          throw translateUpstreamError(error);
        await delay(Math.random() * Math.min(longestPauseMs, 5 * attempt));
      }
    }
  }
}

interface NextSession {
  next: SessionUpdate;
  /** As it is stored now; undefined when it cannot be read. */
  document: SessionDocument | undefined;
  warnings: string[];
}

function nextSession(sandbox: Sandbox, change: OwnedChange): NextSession {
  const current = projectSession(sandbox);
  const result = readDocument(sandbox);
  const document = 'document' in result ? result.document : undefined;
  const decoded = change(current, document === undefined ? 'metadata' : 'session');
  try {
    return { ...validated(decoded, current, document), document, warnings: warningsOf(decoded, current) };
  } catch (error) {
    throw withWarnings(error, decoded.warnings);
  }
}

function validated(
  decoded: ReturnType<OwnedChange>,
  current: Session,
  document: SessionDocument | undefined,
): Pick<NextSession, 'next'> {
  refuseOversize(decoded);
  const { name = '' } = current.metadata;
  const causes = [...metadataUpdateCauses(decoded.metadata, current.metadata), ...decoded.causes];
  const blocked = blockedCauses(causes);
  if (blocked !== undefined) throw invalidSession(name, blocked);
  if (decoded.causes.length > 0) throw invalidSession(name, causes);
  const spec = document === undefined ? refuseUnreadable(decoded, current, causes) : specOf(decoded, document, causes);
  if (causes.length > 0) throw invalidSession(name, causes);
  const managedFields = document === undefined ? undefined : decoded.owners(spec);
  return { next: { metadata: decoded.metadata, spec, managedFields } };
}

function warningsOf(decoded: DecodedSession, current: Session): string[] {
  return [...decoded.warnings, ...finalizerWarnings(decoded.metadata, current.metadata)];
}

function specOf(decoded: DecodedSession, document: SessionDocument, causes: StatusCause[]): CompleteSessionSpec {
  const { limits } = document.runtime;
  const spec = completeSpec(decoded.spec, limits);
  // What was right when it was written must not keep a finalizer from being removed.
  if (!isDeepStrictEqual(spec, document.spec)) causes.push(...specUpdateCauses(spec, document.spec, limits));
  return spec;
}

/** What lies in the document cannot be changed when that cannot be read; finalizers must be, or nothing could delete it. */
function refuseUnreadable({ metadata }: DecodedSession, current: Session, causes: StatusCause[]): CompleteSessionSpec {
  if (Object.keys(metadata.annotations ?? {}).length > 0) {
    const problem =
      'the stored session cannot be read, so only labels, owners and finalizers can be changed; delete it';
    causes.push(forbiddenValue('metadata.annotations', problem));
  }
  return current.spec as CompleteSessionSpec;
}
