import { ApiError } from '../../apis/machinery/errors.ts';
import { finalizerWarnings } from '../../apis/v1alpha1/metadata-rules.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import type { InvocationPath } from '../../proxy/invocation/invocation-path.ts';
import { readBody } from '../http/body.ts';
import { sendObject } from '../http/exchange.ts';
import { bodyFormat, negotiate } from '../http/negotiation.ts';
import { ApplyVerb } from './apply-verb.ts';
import { type Call, required, type VerbHandler } from './call.ts';
import { checkNames, checkNamespace, isApply, type ObjectPath, patched, patchOf, replacement } from './change.ts';
import type { SessionCreation } from './creation.ts';
import { decodeSession } from './decode.ts';
import { retryKey } from './idempotency.ts';
import { dedupeOwners } from './owner-references.ts';
import { managerOf, type OwnedChange, ownedBy, ownersOfNew, type Writer } from './ownership.ts';
import { represent, type View, viewOf } from './representation.ts';
import type { SessionUpdates } from './updates.ts';
import { withWarnings } from './warned.ts';
import { type DryRun, readPatchOptions, readWriteOptions } from './write-options.ts';

export interface WriteVerbsOptions {
  creation: SessionCreation;
  updates: SessionUpdates;
  /** Told of what was made here, so that its Events come at once. */
  chronicle: InvocationPath['chronicle'];
  /** Milliseconds since the epoch. */
  now: () => number;
}

/** create, update and patch, each in the order of its handler in k8s.io/apiserver/pkg/endpoints/handlers. */
export class WriteVerbs {
  readonly #options: WriteVerbsOptions;
  readonly #apply: ApplyVerb;

  constructor(options: WriteVerbsOptions) {
    this.#options = options;
    this.#apply = new ApplyVerb(options);
  }

  readonly create: VerbHandler = async (call) => {
    const { info, user, request } = call;
    const view = this.#view(call);
    const format = bodyFormat(request.headers['content-type']);
    const bytes = await readBody(request);
    const { dryRun, fieldValidation } = readWriteOptions(info.query, 'CreateOptions');
    const namespace = required(info.namespace);
    const decoded = dedupeOwners(decodeSession({ bytes, format }, fieldValidation), 'before');
    try {
      checkNamespace(decoded, namespace);
      if (info.name !== undefined) checkNames(decoded, { metadata: { namespace, name: info.name } });
      const creator = { username: user.username, ...(user.uid === undefined ? {} : { uid: user.uid }) };
      const { session, found, warnings } = await this.#options.creation.create(namespace, decoded, {
        user: creator,
        dryRun,
        owners: ownersOfNew(decoded, this.#writer(call)),
        retryKey: retryKey(request.headers['idempotency-key'], { namespace, user: creator, decoded }),
      });
      if (dryRun === undefined && !found) this.#options.chronicle.created(session);
      call.onCreated(session.metadata);
      const told = [...decoded.warnings, ...finalizerWarnings(decoded.metadata), ...warnings];
      await this.#answer(call, view, { status: found ? 200 : 201, session, warnings: told });
    } catch (error) {
      throw withWarnings(error, decoded.warnings);
    }
  };

  readonly update: VerbHandler = async (call) => {
    const { info, request } = call;
    const path = pathOf(call);
    const view = this.#view(call);
    const bytes = await readBody(request);
    const { dryRun, fieldValidation } = readWriteOptions(info.query, 'UpdateOptions');
    const format = bodyFormat(request.headers['content-type']);
    const change = ownedBy(replacement({ bytes, format }, fieldValidation, path), this.#writer(call));
    await this.#change(call, { view, change, dryRun });
  };

  readonly patch: VerbHandler = async (call) => {
    const { info, request } = call;
    const type = request.headers['content-type'];
    if (isApply(type)) return await this.#apply.apply(call, this.#view(call));
    const patch = patchOf(type);
    pathOf(call);
    const view = this.#view(call);
    const bytes = await readBody(request);
    const { dryRun, fieldValidation } = readPatchOptions(info.query, 'other');
    const change = ownedBy(patched(patch, bytes, fieldValidation), this.#writer(call));
    await this.#change(call, { view, change, dryRun });
  };

  async #change(
    call: Call,
    { view, change, dryRun }: { view: View; change: OwnedChange; dryRun: DryRun },
  ): Promise<void> {
    const { namespace, name } = pathOf(call);
    const { session, warnings } = await this.#options.updates.update(namespace, name, change, { dryRun });
    if (dryRun === undefined) this.#options.chronicle.changed(session);
    await this.#answer(call, view, { status: 200, session, warnings });
  }

  async #answer(
    call: Call,
    view: View,
    { status, session, warnings }: { status: number; session: Session; warnings: readonly string[] },
  ): Promise<void> {
    await sendObject(call, { status, body: represent(session, view), representation: view, warnings });
  }

  #writer({ info, request }: Call): Writer {
    return { manager: managerOf(info.query, request.headers), now: this.#options.now() };
  }

  #view({ info, request }: Call): View {
    return viewOf(negotiate(request.headers.accept, 'single'), info.query, this.#options.now());
  }
}

function pathOf({ info }: Call): ObjectPath {
  const namespace = required(info.namespace);
  if (info.name === undefined) throw new ApiError('BadRequest', 'name must be provided');
  return { namespace, name: info.name };
}
