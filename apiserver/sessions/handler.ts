import { ApiError, clip, hasReason, invalid } from '../../apis/machinery/errors.ts';
import type { ListMeta } from '../../apis/machinery/meta.ts';
import { group, groupVersion, kind, resource } from '../../apis/names.ts';
import type { ClientRequest, ClientResponse } from '../../apis/runtime/listener.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import type { UserInfo } from '../../proxy/access/user.ts';
import type { InvocationPath } from '../../proxy/invocation/invocation-path.ts';
import { readBody } from '../http/body.ts';
import { beginStream, sendJson, warningHeaders } from '../http/exchange.ts';
import { negotiate, type Representation, requireJson } from '../http/negotiation.ts';
import type { ResourceRequest, Verb } from '../http/request-info.ts';
import type { EventEncoder } from '../watch/encoding.ts';
import { invalidListOptions, parseResourceVersion, readWatchOptions } from '../watch/options.ts';
import type { SessionCache } from '../watch/session-cache.ts';
import { WatchStream } from '../watch/watch-stream.ts';
import { patched, patchOf, replacement, type SessionChange } from './change.ts';
import { decodeSession, type OptionsKind, readFieldValidation } from './decode.ts';
import { type DeleteOptions, readDeleteOptions } from './delete-options.ts';
import { retryKey } from './idempotency.ts';
import { readSelection, type Selection } from './selection.ts';
import { SharedReads } from './shared-reads.ts';
import type { Deletion, DryRun, ListOptions, SessionStorage } from './storage.ts';
import { type IncludeObject, partialObject, sessionTable } from './table.ts';

export interface SessionHandlerOptions {
  storage: SessionStorage;
  cache: SessionCache;
  encoder: EventEncoder;
  now: () => number;
  /** Told of what was done here, so that its Events come at once and name who did it. */
  chronicle: InvocationPath['chronicle'];
}

interface FreshState {
  sessions: Session[];
  resourceVersion: bigint;
}

/** One authorised request for sessions. */
interface Call {
  info: ResourceRequest;
  user: UserInfo;
  request: ClientRequest;
  response: ClientResponse;
}

/** The verbs of sessions over their storage, in the order of k8s.io/apiserver's handlers: Accept before anything is done. */
export class SessionHandler {
  readonly #options: SessionHandlerOptions;
  readonly #freshReads = new SharedReads<FreshState>();

  constructor(options: SessionHandlerOptions) {
    this.#options = options;
  }

  /** @throws ApiError before headers were sent. */
  async handle(call: Call): Promise<void> {
    const verb = this.#verbs[call.info.verb];
    if (verb === undefined) throw notAllowed(call.info.verb);
    await verb(call);
  }

  readonly #verbs: Partial<Record<Verb, (call: Call) => Promise<void>>> = {
    get: (call) => this.#get(call),
    list: (call) => this.#list(call),
    watch: (call) => this.#watch(call),
    create: (call) => this.#create(call),
    update: (call) => this.#update(call),
    patch: (call) => this.#patch(call),
    delete: (call) => this.#delete(call),
    deletecollection: (call) => this.#deleteCollection(call),
  };

  async #get({ info, request, response }: Call): Promise<void> {
    const representation = negotiate(request.headers.accept, 'single');
    const version = info.query.get('resourceVersion') ?? undefined;
    parseResourceVersion(version ?? null);
    const session = await this.#options.storage.get(required(info.namespace), required(info.name), version);
    sendJson(response, 200, this.#represent(session, representation, readIncludeObject(info.query)));
  }

  async #list({ info, request, response }: Call): Promise<void> {
    const representation = negotiate(request.headers.accept, 'list');
    const includeObject = readIncludeObject(info.query);
    const { items, metadata } = await this.#options.storage.list(readListOptions(info));
    sendJson(response, 200, this.#representList(items, metadata, representation, includeObject));
  }

  async #watch({ info, request, response }: Call): Promise<void> {
    const representation = negotiate(request.headers.accept, 'single');
    const watch = readWatchOptions(info.query);
    const selection = readSelection(info.query);
    const { cache, encoder } = this.#options;
    const stream = new WatchStream({
      cache,
      encoder,
      selection,
      watch,
      scope: { namespace: info.namespace, name: selection.name },
      format: { ...representation, includeObject: readIncludeObject(info.query) },
      readState: (notOlderThan) => this.#readState(info, selection, notOlderThan),
      output: beginStream(response, { 'content-type': 'application/json' }),
    });
    await stream.run();
  }

  /** Fresh state for WatchLists, which informers ask for all at once when a connection breaks. */
  #readState(info: ResourceRequest, selection: Selection, notOlderThan: bigint | undefined): Promise<FreshState> {
    const version =
      notOlderThan === undefined ? {} : { resourceVersion: String(notOlderThan), resourceVersionMatch: 'NotOlderThan' };
    const key = JSON.stringify([info.namespace, selection.upstream, version]);
    return this.#freshReads.read(key, async () => {
      const page = await this.#options.storage.list({
        namespace: info.namespace,
        selection: selection.coarse,
        ...noPaging,
        ...version,
      });
      return { sessions: page.items, resourceVersion: BigInt(page.metadata.resourceVersion ?? '0') };
    });
  }

  async #create({ info, user, request, response }: Call): Promise<void> {
    if (info.name !== undefined) throw notAllowed(info.verb);
    const representation = negotiate(request.headers.accept, 'single');
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
    const { session, found, warnings } = await this.#options.storage.create(namespace, decoded, {
      user: creator,
      dryRun,
      retryKey: retryKey(request.headers['idempotency-key'], { namespace, user: creator, decoded }),
    });
    if (dryRun === undefined && !found) this.#options.chronicle.created(session);
    const body = this.#represent(session, representation, readIncludeObject(info.query));
    sendJson(response, found ? 200 : 201, body, warningHeaders([...decoded.warnings, ...warnings]));
  }

  async #update(call: Call): Promise<void> {
    const { info, request } = call;
    const representation = negotiate(request.headers.accept, 'single');
    requireJson(request.headers['content-type']);
    const dryRun = readDryRun(info.query, 'UpdateOptions');
    const fieldValidation = readFieldValidation(info.query, 'UpdateOptions');
    const change = replacement(await readBody(request), fieldValidation);
    await this.#change(call, { representation, change, dryRun });
  }

  async #patch(call: Call): Promise<void> {
    const { info, request } = call;
    const representation = negotiate(request.headers.accept, 'single');
    const dryRun = readDryRun(info.query, 'PatchOptions');
    const fieldValidation = readFieldValidation(info.query, 'PatchOptions');
    const apply = patchOf(request.headers['content-type']);
    const change = patched(apply, await readBody(request), fieldValidation);
    await this.#change(call, { representation, change, dryRun });
  }

  async #change(
    { info, response }: Call,
    { representation, change, dryRun }: { representation: Representation; change: SessionChange; dryRun: DryRun },
  ): Promise<void> {
    const { storage } = this.#options;
    const { session, warnings } = await storage.update(required(info.namespace), required(info.name), change, {
      dryRun,
    });
    const body = this.#represent(session, representation, readIncludeObject(info.query));
    sendJson(response, 200, body, warningHeaders(warnings));
  }

  async #delete({ info, user, request, response }: Call): Promise<void> {
    negotiate(request.headers.accept, 'single');
    const options = readDeleteOptions(await readBody(request), info.query);
    const name = required(info.name);
    const deletion = await this.#deleteAs(user, required(info.namespace), name, options);
    if (deletion.kind === 'waiting') return sendJson(response, 200, deletion.session);
    sendJson(response, 200, {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Success',
      details: { name, group, kind: resource, uid: deletion.uid },
    });
  }

  async #deleteCollection({ info, user, request, response }: Call): Promise<void> {
    negotiate(request.headers.accept, 'list');
    const options = readDeleteOptions(await readBody(request), info.query);
    const { items, metadata } = await this.#options.storage.list(readListOptions(info));
    for (const session of items) await this.#deleteIfThere(user, session, options);
    sendJson(response, 200, sessionList(items, metadata));
  }

  async #deleteAs(user: UserInfo, namespace: string, name: string, options: DeleteOptions): Promise<Deletion> {
    const deletion = await this.#options.storage.delete(namespace, name, options);
    const uid = deletion.kind === 'gone' ? deletion.uid : deletion.session.metadata.uid;
    if (options.dryRun === undefined && uid !== undefined) this.#options.chronicle.deleted(uid, user.username);
    return deletion;
  }

  async #deleteIfThere(user: UserInfo, { metadata }: Session, options: DeleteOptions): Promise<void> {
    try {
      await this.#deleteAs(user, metadata.namespace ?? '', metadata.name ?? '', options);
    } catch (error) {
      if (!hasReason(error, 'NotFound')) throw error;
    }
  }

  #represent(session: Session, { shape, metaVersion }: Representation, includeObject: IncludeObject): object {
    if (shape === 'object') return session;
    if (shape === 'partial') return partialObject(session.metadata, metaVersion);
    return this.#table(
      [session],
      { resourceVersion: session.metadata.resourceVersion ?? '' },
      metaVersion,
      includeObject,
    );
  }

  #representList(
    items: Session[],
    metadata: ListMeta,
    { shape, metaVersion }: Representation,
    includeObject: IncludeObject,
  ): object {
    if (shape === 'object') return sessionList(items, metadata);
    if (shape === 'table') return this.#table(items, metadata, metaVersion, includeObject);
    const partial = items.map((session) => partialObject(session.metadata, metaVersion));
    return { kind: 'PartialObjectMetadataList', apiVersion: `meta.k8s.io/${metaVersion}`, metadata, items: partial };
  }

  #table(
    items: Session[],
    metadata: ListMeta,
    metaVersion: Representation['metaVersion'],
    includeObject: IncludeObject,
  ): object {
    return sessionTable(items, metadata, {
      metaVersion,
      includeObject,
      columnDefinitions: 'include',
      now: this.#options.now(),
    });
  }
}

const noPaging = { limit: undefined, continue: undefined, resourceVersion: undefined, resourceVersionMatch: undefined };

function sessionList(items: readonly Session[], metadata: ListMeta): object {
  return { kind: `${kind}List`, apiVersion: groupVersion, metadata, items };
}

function readListOptions({ namespace, query }: ResourceRequest): ListOptions {
  if (query.has('sendInitialEvents')) {
    const message = 'Forbidden: sendInitialEvents is forbidden for list';
    throw invalidListOptions([{ reason: 'FieldValueForbidden', message, field: 'sendInitialEvents' }]);
  }
  parseResourceVersion(query.get('resourceVersion'));
  const text = (name: string) => query.get(name) || undefined;
  return {
    namespace,
    selection: readSelection(query),
    limit: text('limit'),
    continue: text('continue'),
    resourceVersion: text('resourceVersion'),
    resourceVersionMatch: text('resourceVersionMatch'),
  };
}

function readIncludeObject(query: URLSearchParams): IncludeObject {
  const text = query.get('includeObject') ?? '';
  if (text === '' || text === 'Metadata') return 'Metadata';
  if (text === 'None' || text === 'Object') return text;
  throw new ApiError(
    'BadRequest',
    `unrecognized includeObject value: ${JSON.stringify(text)}; use None, Metadata or Object`,
  );
}

function readDryRun(query: URLSearchParams, optionsKind: OptionsKind): DryRun {
  const values = query.getAll('dryRun').filter((value) => value !== '');
  if (values.every((value) => value === 'All')) return values.length === 0 ? undefined : 'All';
  const cause = {
    reason: 'FieldValueNotSupported',
    field: 'dryRun',
    message: `Unsupported value: ${clip(JSON.stringify(values))}: supported values: "All"`,
  };
  throw invalid(optionsKind, 'meta.k8s.io', '', [cause]);
}

function notAllowed(verb: Verb): ApiError {
  return new ApiError('MethodNotAllowed', `${verb} is not supported on resources of kind "${resource}.${group}"`);
}

/** The parse of the path gives these verbs a namespace and name; without them the path named nothing. */
function required(part: string | undefined): string {
  if (part === undefined)
    throw new ApiError('MethodNotAllowed', `this verb needs a namespace in the path of ${resource}.${group}`);
  return part;
}
