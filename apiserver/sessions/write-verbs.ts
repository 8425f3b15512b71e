import { ApiError } from '../../apis/machinery/errors.ts';
import type { InvocationPath } from '../../proxy/invocation/invocation-path.ts';
import { readBody } from '../http/body.ts';
import { sendJson, warningHeaders } from '../http/exchange.ts';
import { negotiate, requireJson } from '../http/negotiation.ts';
import { type Call, notAllowed, required, type VerbHandler } from './call.ts';
import { patched, patchOf, replacement, type SessionChange } from './change.ts';
import type { SessionCreation } from './creation.ts';
import { decodeSession } from './decode.ts';
import { retryKey } from './idempotency.ts';
import { represent, type View, viewOf } from './representation.ts';
import type { SessionUpdates } from './updates.ts';
import { type DryRun, readDryRun, readFieldValidation } from './write-options.ts';

export interface WriteVerbsOptions {
  creation: SessionCreation;
  updates: SessionUpdates;
  /** Told of what was made here, so that its Events come at once. */
  chronicle: InvocationPath['chronicle'];
  /** Milliseconds since the epoch. */
  now: () => number;
}

/** create, update and patch, in the order of k8s.io/apiserver's handlers: Accept before anything is done. */
export class WriteVerbs {
  readonly #options: WriteVerbsOptions;

  constructor(options: WriteVerbsOptions) {
    this.#options = options;
  }

  readonly create: VerbHandler = async (call) => {
    const { info, user, request, response } = call;
    if (info.name !== undefined) throw notAllowed(info.verb);
    const view = this.#view(call);
    requireJson(request.headers['content-type']);
    const dryRun = readDryRun(info.query, 'CreateOptions');
    const fieldValidation = readFieldValidation(info.query, 'CreateOptions');
    const decoded = decodeSession(await readBody(request), fieldValidation);
    const namespace = required(info.namespace);
    if (decoded.metadata.namespace && decoded.metadata.namespace !== namespace) {
      throw new ApiError(
        'BadRequest',
        'the namespace of the provided object does not match the namespace sent on the request',
      );
    }
    if (decoded.metadata.resourceVersion !== undefined && decoded.metadata.resourceVersion !== '') {
      throw new ApiError('BadRequest', 'resourceVersion should not be set on objects to be created');
    }
    const creator = { username: user.username, ...(user.uid === undefined ? {} : { uid: user.uid }) };
    const { session, found, warnings } = await this.#options.creation.create(namespace, decoded, {
      user: creator,
      dryRun,
      retryKey: retryKey(request.headers['idempotency-key'], { namespace, user: creator, decoded }),
    });
    if (dryRun === undefined && !found) this.#options.chronicle.created(session);
    sendJson(response, found ? 200 : 201, represent(session, view), warningHeaders([...decoded.warnings, ...warnings]));
  };

  readonly update: VerbHandler = async (call) => {
    const { info, request } = call;
    const view = this.#view(call);
    requireJson(request.headers['content-type']);
    const dryRun = readDryRun(info.query, 'UpdateOptions');
    const fieldValidation = readFieldValidation(info.query, 'UpdateOptions');
    const change = replacement(await readBody(request), fieldValidation);
    await this.#change(call, { view, change, dryRun });
  };

  readonly patch: VerbHandler = async (call) => {
    const { info, request } = call;
    const view = this.#view(call);
    const dryRun = readDryRun(info.query, 'PatchOptions');
    const fieldValidation = readFieldValidation(info.query, 'PatchOptions');
    const apply = patchOf(request.headers['content-type']);
    const change = patched(apply, await readBody(request), fieldValidation);
    await this.#change(call, { view, change, dryRun });
  };

  async #change(
    { info, response }: Call,
    { view, change, dryRun }: { view: View; change: SessionChange; dryRun: DryRun },
  ): Promise<void> {
    const { updates } = this.#options;
    const { session, warnings } = await updates.update(required(info.namespace), required(info.name), change, {
      dryRun,
    });
    sendJson(response, 200, represent(session, view), warningHeaders(warnings));
  }

  #view({ info, request }: Call): View {
    return viewOf(negotiate(request.headers.accept, 'single'), info.query, this.#options.now());
  }
}
