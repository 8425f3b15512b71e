import { ApiError, hasReason } from '../../apis/machinery/errors.ts';
import type { StatusDetails } from '../../apis/machinery/meta.ts';
import { accounts, group, kind, resource, sandboxApi, systemNamespace } from '../../apis/names.ts';

/** How the authorizers of kube-apiserver tell us that we may not; a policy may name the account in words of its own. */
const ownMissingRight = `User "system:serviceaccount:${systemNamespace}:${accounts.apiserver}" cannot `;

/**
 * Turns an error about a Sandbox into the same error about its Session: code, reason and causes stay; group, kind,
 * name and field paths become the Session's. Quota, admission and conflicts reach the user as what they are.
 */
export function translateUpstreamError(error: unknown): unknown {
  if (!(error instanceof ApiError)) return error;
  // A refusal of our own account is our misconfiguration, not the user's missing right.
  if (
    hasReason(error, 'Forbidden', 'Unauthorized') &&
    (error.message.includes(ownMissingRight) || error.code === 401)
  ) {
    return new ApiError('InternalError', 'Internal error occurred; the server log has the details', { cause: error });
  }
  return new ApiError(error.reason, translateText(error.message), {
    code: error.code,
    cause: error,
    ...(error.details === undefined ? {} : { details: translateDetails(error.details) }),
    ...(error.continueToken === undefined ? {} : { continueToken: error.continueToken }),
  });
}

/** The quota key of Sandboxes is theirs: `count/sandboxes.agents.x-k8s.io`. */
const sandboxes = /(?<!count\/)sandboxes\.agents\.x-k8s\.io/g;

function translateText(text: string): string {
  return text
    .replaceAll(sandboxes, `${resource}.${group}`)
    .replaceAll(`${sandboxApi.kind}.${sandboxApi.group}`, `${kind}.${group}`);
}

function translateDetails(details: StatusDetails): StatusDetails {
  const causes = details.causes?.map((cause) => ({
    ...cause,
    message: translateText(cause.message),
    ...(cause.field === undefined ? {} : { field: translateField(cause.field) }),
  }));
  const { uid: _sandboxUid, ...rest } = details;
  return {
    ...rest,
    ...(details.group === sandboxApi.group ? { group } : {}),
    ...(details.kind === sandboxApi.resource ? { kind: resource } : {}),
    ...(details.kind === sandboxApi.kind ? { kind } : {}),
    ...(causes === undefined ? {} : { causes }),
  };
}

/** What a Session has no field for comes from its runtime. */
function translateField(field: string): string {
  return field.startsWith('spec.podTemplate') || field.startsWith('spec.volumeClaimTemplates')
    ? 'spec.runtimeRef'
    : field;
}

/** The 404 of a Session. */
export function notFound(name: string): ApiError {
  return new ApiError('NotFound', `${resource}.${group} "${name}" not found`, {
    details: { name, group, kind: resource },
  });
}
