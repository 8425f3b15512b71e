import { ApiError } from '../../apis/machinery/errors.ts';
import { group, resource } from '../../apis/names.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';

/** The 404 of a session, as kube-apiserver words it. */
export function notFound(name: string): ApiError {
  return new ApiError('NotFound', `${resource}.${group} ${JSON.stringify(name)} not found`, {
    details: { name, group, kind: resource },
  });
}

/** The same error with the session it is about in its details: name, group, kind and uid. */
export function aboutSession(error: ApiError, { metadata }: Session): ApiError {
  if (error.details?.uid !== undefined) return error;
  return new ApiError(error.reason, error.message, {
    code: error.code,
    details: {
      ...error.details,
      ...(metadata.name === undefined ? {} : { name: metadata.name }),
      group,
      kind: resource,
      ...(metadata.uid === undefined ? {} : { uid: metadata.uid }),
    },
    ...(error.cause === undefined ? {} : { cause: error.cause }),
  });
}
