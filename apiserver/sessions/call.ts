import { ApiError } from '../../apis/machinery/errors.ts';
import type { ObjectMeta } from '../../apis/machinery/meta.ts';
import { group, resource } from '../../apis/names.ts';
import type { ClientRequest, ClientResponse } from '../../apis/runtime/listener.ts';
import type { UserInfo } from '../../proxy/access/user.ts';
import type { ResourceRequest, Verb } from '../http/request-info.ts';

/** One authorised request for sessions. */
export interface Call {
  info: ResourceRequest;
  user: UserInfo;
  request: ClientRequest;
  response: ClientResponse;
  /**
   * Reviews the same request under another verb: an apply that makes the object needs `create` too.
   * @throws ApiError Forbidden and others.
   */
  authorizeAs: (verb: Verb) => Promise<void>;
  /** Told of the object that a create made, whose name the request need not have had. */
  onCreated: (metadata: ObjectMeta) => void;
}

/** Serves one verb; throws an ApiError before headers were sent. */
export type VerbHandler = (call: Call) => Promise<void>;

/** A part of the path that the parse gives this verb; without it the path named nothing. */
export function required(part: string | undefined): string {
  if (part === undefined)
    throw new ApiError('MethodNotAllowed', `this verb needs a namespace in the path of ${resource}.${group}`);
  return part;
}
