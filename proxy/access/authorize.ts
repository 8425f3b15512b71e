import { LRUCache } from 'lru-cache';
import type { KubeClient } from '../../apis/client/transport.ts';
import { ApiError } from '../../apis/machinery/errors.ts';
import { reviewFailed } from './review-failure.ts';
import type { UserInfo } from './user.ts';

const path = '/apis/authorization.k8s.io/v1/subjectaccessreviews';
const timeoutMs = 10_000;
/** A right that was taken away is gone within this time. */
const allowedMs = 10_000;
/** Short, so that who has just been given a right need not wait for it. */
const deniedMs = 2_000;
const largestCache = 8192;
/** Reviews above this many characters are not kept (k8s.io/apiserver's webhook authorizer has the same limit in bytes). */
const largestKey = 10_000;

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
}

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

/** Asks kube-apiserver by SubjectAccessReview whether a user may do something; verdicts are kept for seconds. */
export class Authorizer {
  readonly #client: KubeClient;
  readonly #verdicts: LRUCache<string, Verdict>;

  constructor(client: KubeClient) {
    this.#client = client;
    this.#verdicts = new LRUCache<string, Verdict>({
      max: largestCache,
      ttl: allowedMs,
      ignoreFetchAbort: true,
      fetchMethod: async (spec, _stale, { options }) => {
        const verdict = await this.#review(spec);
        options.ttl = verdict.allowed ? allowedMs : deniedMs;
        return verdict;
      },
    });
  }

  /**
   * Resolves if the user may.
   * @throws ApiError Forbidden in kube-apiserver's words; ServiceUnavailable or InternalError when nobody could be asked.
   */
  async authorize(user: UserInfo, attributes: AccessAttributes): Promise<void> {
    const spec = JSON.stringify(reviewSpec(user, attributes));
    const verdict = this.#verdicts.get(spec) ?? (await this.#ask(spec));
    if (verdict?.allowed !== true) throw forbidden(user, attributes, verdict?.reason ?? '');
  }

  async #ask(spec: string): Promise<Verdict | undefined> {
    return spec.length > largestKey ? await this.#review(spec) : await this.#verdicts.fetch(spec);
  }

  async #review(spec: string): Promise<Verdict> {
    const body = {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      spec: JSON.parse(spec) as unknown,
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

/** The review's spec with its fields in a fixed order, so that equal questions have equal texts. */
function reviewSpec({ username, uid, groups, extra }: UserInfo, attributes: AccessAttributes): object {
  const who = { user: username, uid, groups, extra };
  if ('path' in attributes) {
    return { ...who, nonResourceAttributes: { verb: attributes.verb, path: attributes.path } };
  }
  const { verb, group, version, resource, subresource, namespace, name } = attributes;
  return { ...who, resourceAttributes: { verb, group, version, resource, subresource, namespace, name } };
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
