import { hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { KubeClient } from '../../apis/client/transport.ts';
import { ApiError } from '../../apis/machinery/errors.ts';
import { FairQueue, type FairQueueOptions } from './fair-queue.ts';
import type { ReviewCounter } from './metrics.ts';
import { reviewFailed } from './review-failure.ts';
import type { UserInfo } from './user.ts';

const path = '/apis/authorization.k8s.io/v1/subjectaccessreviews';
const timeoutMs = 10_000;
/**
 * A right that was taken away is gone within 10 s: kube-apiserver itself knows of it at once (its RBAC authorizer reads
 * from a watch and keeps no verdicts), and a second is left for that watch and the review.
 */
const allowedMs = 9_000;
/** Short, so that who has just been given a right need not wait for it. */
const deniedMs = 2_000;
const largestCache = 8192;
/** Questions of more characters than this are not kept, so that the cache stays within a few MB. */
const largestKey = 1024;

/** One condition of a selection (meta/v1 FieldSelectorRequirement and LabelSelectorRequirement). */
export interface SelectorRequirement {
  key: string;
  operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
  /** Absent where the operator needs none. */
  values?: readonly string[];
}

/** What somebody wants to do with a resource (authorization.k8s.io/v1 ResourceAttributes). */
export interface ResourceAttributes {
  verb: string;
  group: string;
  version: string;
  resource: string;
  subresource?: string;
  /** Absent for all namespaces. */
  namespace?: string;
  name?: string;
  /** What of the resource is selected, never empty: somebody may be allowed that and no more. */
  fieldSelector?: readonly SelectorRequirement[];
  labelSelector?: readonly SelectorRequirement[];
}

/** Reviews at once, of which users take turns: whoever asks about thousands of names delays nobody else's. */
const reviews: FairQueueOptions = {
  ...{ mostAtOnce: 64, mostWaitingOfSource: 4096, mostWaiting: 65_536 },
  refusal: 'too many of your requests wait for a review of access; try again',
};

/** What somebody wants to do with a path that is no resource. */
export interface NonResourceAttributes {
  verb: string;
  path: string;
}

export type AccessAttributes = ResourceAttributes | NonResourceAttributes;

interface AccessReview {
  status?: { allowed?: boolean; denied?: boolean; reason?: string; evaluationError?: string };
}

interface Verdict {
  allowed: boolean;
  reason: string;
}

interface Question {
  user: UserInfo;
  attributes: AccessAttributes;
}

/** Asks kube-apiserver by SubjectAccessReview whether a user may do something; verdicts are kept for seconds. */
export class Authorizer {
  readonly #client: KubeClient;
  readonly #counter: ReviewCounter | undefined;
  readonly #verdicts: LRUCache<string, Verdict, Question>;
  readonly #queue = new FairQueue(reviews);
  /** Users by their hash; whoever authenticates gives out the same object for as long as it stands by it. */
  readonly #users = new WeakMap<UserInfo, string>();

  constructor(client: KubeClient, counter?: ReviewCounter) {
    this.#client = client;
    this.#counter = counter;
    this.#verdicts = new LRUCache<string, Verdict, Question>({
      max: largestCache,
      ttl: allowedMs,
      ignoreFetchAbort: true,
      fetchMethod: async (_key, _stale, { options, context: question }) => {
        const verdict = await this.#review(question);
        options.ttl = verdict.allowed ? allowedMs : deniedMs;
        return verdict;
      },
    });
  }

  /**
   * Resolves if the user may.
   * @throws ApiError Forbidden in kube-apiserver's words; TooManyRequests for who asks too much; ServiceUnavailable or InternalError when nobody could be asked.
   */
  async authorize(user: UserInfo, attributes: AccessAttributes): Promise<void> {
    const key = `${this.#hashOf(user)} ${textOf(attributes)}`;
    const known = this.#verdicts.get(key);
    if (known === undefined) this.#counter?.miss();
    else this.#counter?.hit();
    const verdict = known ?? (await this.#ask(key, { user, attributes }));
    if (verdict?.allowed !== true) throw forbidden(user, attributes, verdict?.reason ?? '');
  }

  async #ask(key: string, question: Question): Promise<Verdict | undefined> {
    if (key.length > largestKey) return await this.#review(question);
    return await this.#verdicts.fetch(key, { context: question });
  }

  #hashOf(user: UserInfo): string {
    const known = this.#users.get(user);
    if (known !== undefined) return known;
    const { username, uid, groups, extra } = user;
    const hashed = hash('sha256', JSON.stringify([username, uid, groups, extra]), 'base64');
    this.#users.set(user, hashed);
    return hashed;
  }

  async #review(question: Question): Promise<Verdict> {
    return await this.#queue.run(question.user.username, async () => await this.#send(question));
  }

  async #send({ user, attributes }: Question): Promise<Verdict> {
    const body = {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      spec: reviewSpec(user, attributes),
    };
    let review: AccessReview;
    try {
      review = await this.#client.request<AccessReview>({ method: 'POST', path, body, timeoutMs });
    } catch (error) {
      throw reviewFailed('access could not be checked', error);
    }
    const { allowed, denied, reason } = review.status ?? {};
    return { allowed: allowed === true && denied !== true, reason: reason ?? '' };
  }
}

/** Equal questions have equal texts, and different ones different texts. */
function textOf(attributes: AccessAttributes): string {
  if ('path' in attributes) return `${attributes.verb.length} ${attributes.verb}${attributes.path}`;
  const { verb, group, version, resource, subresource, namespace, name } = attributes;
  const what = `${part(verb)}${part(group)}${part(version)}${part(resource)}${part(subresource)}${part(namespace)}${part(name)}`;
  const { fieldSelector, labelSelector } = attributes;
  if (fieldSelector === undefined && labelSelector === undefined) return what;
  return `${what}${JSON.stringify([fieldSelector ?? [], labelSelector ?? []])}`;
}

/** With its length, so that no text can look like two; by hand, because every call asks a question. */
function part(text: string | undefined): string {
  return text === undefined ? '-,' : `${text.length},${text}`;
}

function reviewSpec({ username, uid, groups, extra }: UserInfo, attributes: AccessAttributes): object {
  const who = { user: username, uid, groups, extra };
  if ('path' in attributes) {
    return { ...who, nonResourceAttributes: { verb: attributes.verb, path: attributes.path } };
  }
  const { fieldSelector, labelSelector, ...what } = attributes;
  const selected = {
    ...(fieldSelector === undefined ? {} : { fieldSelector: { requirements: fieldSelector } }),
    ...(labelSelector === undefined ? {} : { labelSelector: { requirements: labelSelector } }),
  };
  return { ...who, resourceAttributes: { ...what, ...selected } };
}

/** k8s.io/apiserver's forbiddenMessage (endpoints/handlers/responsewriters/errors.go) inside apimachinery's NewForbidden. */
function forbidden({ username }: UserInfo, attributes: AccessAttributes, reason: string): ApiError {
  const user = JSON.stringify(username);
  const because = reason === '' ? '' : `: ${reason}`;
  if ('path' in attributes) {
    const what = `User ${user} cannot ${attributes.verb} path ${JSON.stringify(attributes.path)}`;
    return new ApiError('Forbidden', escapeHtml(`forbidden: ${what}${because}`), { details: {} });
  }
  const { verb, group, resource, subresource, namespace, name } = attributes;
  const type = subresource === undefined ? resource : `${resource}/${subresource}`;
  const where = namespace === undefined ? 'at the cluster scope' : `in the namespace ${JSON.stringify(namespace)}`;
  const what = `User ${user} cannot ${verb} resource "${type}" in API group "${group}" ${where}`;
  const object = name === undefined ? `${resource}.${group}` : `${resource}.${group} ${JSON.stringify(name)}`;
  return new ApiError('Forbidden', `${object} is forbidden: ${escapeHtml(`${what}${because}`)}`, {
    details: { ...(name === undefined ? {} : { name }), group, kind: resource },
  });
}

function escapeHtml(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
}
