import { hasReason } from '../../apis/machinery/errors.ts';
import { finalizerWarnings } from '../../apis/v1alpha1/metadata-rules.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import type { InvocationPath } from '../../proxy/invocation/invocation-path.ts';
import { readBody } from '../http/body.ts';
import { sendObject } from '../http/exchange.ts';
import { applied, appliedCreation, type Configuration } from './apply.ts';
import { readAppliedBody } from './apply-body.ts';
import { type Call, required } from './call.ts';
import type { SessionCreation } from './creation.ts';
import { managerOf } from './ownership.ts';
import { represent, type View } from './representation.ts';
import type { SessionUpdates } from './updates.ts';
import { withWarnings } from './warned.ts';
import { type DryRun, readPatchOptions } from './write-options.ts';

export interface ApplyVerbOptions {
  creation: SessionCreation;
  updates: SessionUpdates;
  /** Told of what was made here, so that its Events come at once. */
  chronicle: InvocationPath['chronicle'];
  /** Milliseconds since the epoch. */
  now: () => number;
}

interface AppliedSession {
  session: Session;
  warnings: string[];
  created: boolean;
}

interface Target {
  namespace: string;
  name: string;
  dryRun: DryRun;
}

/** Server-side apply: changes the Session of a name, or makes it. */
export class ApplyVerb {
  readonly #options: ApplyVerbOptions;

  constructor(options: ApplyVerbOptions) {
    this.#options = options;
  }

  /** @throws ApiError */
  async apply(call: Call, view: View): Promise<void> {
    const { info, request } = call;
    const body = await readBody(request);
    const { force, dryRun, fieldValidation } = readPatchOptions(info.query, 'apply');
    const writer = { manager: managerOf(info.query, request.headers), now: this.#options.now() };
    const configuration = { ...readAppliedBody(body), fieldValidation, force, writer };
    const { session, warnings, created } = await this.#applyOrCreate(call, configuration, dryRun);
    const answer = { status: created ? 201 : 200, body: represent(session, view) };
    await sendObject(call, { ...answer, representation: view, warnings });
  }

  async #applyOrCreate(call: Call, configuration: Configuration, dryRun: DryRun): Promise<AppliedSession> {
    const target = { namespace: required(call.info.namespace), name: required(call.info.name), dryRun };
    const changed = await this.#change(configuration, target);
    if (changed !== undefined) return changed;
    try {
      return await this.#create(call, configuration, target);
    } catch (error) {
      if (!hasReason(error, 'AlreadyExists')) throw error;
      // Somebody else has made it meanwhile, so there is one to be changed; if not, what has its name is no session.
      const made = await this.#change(configuration, target);
      if (made === undefined) throw error;
      return made;
    }
  }

  /** @returns undefined when there is no such session. */
  async #change(
    configuration: Configuration,
    { namespace, name, dryRun }: Target,
  ): Promise<AppliedSession | undefined> {
    try {
      const updated = await this.#options.updates.update(namespace, name, applied(configuration), { dryRun });
      if (dryRun === undefined) this.#options.chronicle.changed(updated.session);
      return { ...updated, created: false };
    } catch (error) {
      if (!hasReason(error, 'NotFound') || error.details?.name !== name) throw error;
      return undefined;
    }
  }

  async #create(
    call: Call,
    configuration: Configuration,
    { namespace, name, dryRun }: Target,
  ): Promise<AppliedSession> {
    const { decoded, owners } = appliedCreation(configuration, { namespace, name });
    await call.authorizeAs('create');
    const { user } = call;
    const creator = { username: user.username, ...(user.uid === undefined ? {} : { uid: user.uid }) };
    const { creation, chronicle } = this.#options;
    try {
      const { session, warnings } = await creation.create(namespace, decoded, { user: creator, dryRun, owners });
      if (dryRun === undefined) chronicle.created(session);
      call.onCreated(session.metadata);
      const told = [...decoded.warnings, ...finalizerWarnings(decoded.metadata), ...warnings];
      return { session, warnings: told, created: true };
    } catch (error) {
      throw withWarnings(error, decoded.warnings);
    }
  }
}
