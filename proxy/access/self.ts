import type { KubeClient } from '../../apis/client/transport.ts';
import { ApiError } from '../../apis/machinery/errors.ts';
import { reviewFailed } from './review-failure.ts';
import type { UserInfo } from './user.ts';

const path = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
const timeoutMs = 10_000;

interface SelfSubjectReview {
  status?: { userInfo?: Partial<UserInfo> };
}

/** Who this process is to kube-apiserver; asked once, at the first call that succeeds. */
export class Self {
  readonly #client: KubeClient;
  #asking: Promise<UserInfo> | undefined;

  constructor(client: KubeClient) {
    this.#client = client;
  }

  /** @throws ApiError ServiceUnavailable or InternalError when nobody could be asked. */
  async user(): Promise<UserInfo> {
    this.#asking ??= this.#ask();
    try {
      return await this.#asking;
    } catch (error) {
      this.#asking = undefined;
      throw reviewFailed('the proxy could not learn its own name', error);
    }
  }

  async #ask(): Promise<UserInfo> {
    const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };
    const { status } = await this.#client.request<SelfSubjectReview>({ method: 'POST', path, body, timeoutMs });
    const { username, uid, groups = [], extra } = status?.userInfo ?? {};
    if (username === undefined) throw new ApiError('InternalError', 'a SelfSubjectReview named nobody');
    return { username, groups, ...(uid === undefined ? {} : { uid }), ...(extra === undefined ? {} : { extra }) };
  }
}
