import { runtimeResources } from '../../apis/agentcube/runtime.ts';
import { ApiError, clip, hasReason, type Reason } from '../../apis/machinery/errors.ts';
import { runtimeApi } from '../../apis/names.ts';
import type { SessionSpec } from '../../apis/v1alpha1/types.ts';
import type { ErrorFormat } from '../invocation/respond.ts';

/** AgentCube's group of runtimes and sessions in its messages (pkg/api/errors.go). */
const agentCubeGroup = 'agentcube.volcano.sh';
/** Longest public sentence of an error. */
const longestMessage = 64 * 1024;

/** What AgentCube's router says, where it says anything; everything else has our own sentence and reason. */
const routerAnswers: Partial<Record<Reason, { error?: string; code?: string }>> = {
  Unauthorized: { code: 'UNAUTHORIZED' },
  Forbidden: { code: 'FORBIDDEN' },
  TooManyRequests: { error: 'server overloaded, please try again later', code: 'SERVER_OVERLOADED' },
  InternalError: { error: 'internal server error' },
  UpstreamFailed: { error: 'sandbox unreachable' },
  UpstreamTimeout: { error: 'sandbox timeout' },
};

/**
 * Errors as AgentCube's router writes them: `error` is its sentence, `code` its code or, where it has none, our reason.
 * Where its sentence does not tell what to do, `message` does.
 */
export const routerFormat: ErrorFormat = {
  contentType: 'application/json; charset=utf-8',
  body: ({ reason, message }) => {
    const { error, code } = routerAnswers[reason] ?? {};
    const sentence = message.slice(0, longestMessage);
    return JSON.stringify({
      error: error ?? sentence,
      code: code ?? reason,
      ...(error === undefined ? {} : { message: sentence }),
    });
  },
};

/** Errors as AgentCube's WorkloadManager writes them, with our reason as `code`. */
export const workloadManagerFormat: ErrorFormat = {
  contentType: 'application/json; charset=utf-8',
  body: ({ reason, message }) => JSON.stringify({ message: message.slice(0, longestMessage), code: reason }),
};

/** What both programs answer for paths they do not have (gin's default). */
export const pageNotFound = '404 page not found';
export const pageNotFoundFormat: ErrorFormat = { contentType: 'text/plain', body: () => pageNotFound };

/** The 404 of a session id. AgentCube's MCP server makes itself a new session when it sees one. */
export function sessionNotFound(id: string): ApiError {
  return new ApiError('NotFound', `sessions.${agentCubeGroup} ${JSON.stringify(clip(id))} not found`);
}

/** The 404 of a runtime. */
export function runtimeNotFound(namespace: string, { kind, name }: SessionSpec['runtimeRef']): ApiError {
  return new ApiError('NotFound', `${runtimeResources[kind]}.${agentCubeGroup} "${namespace}/${name}" not found`);
}

/** Whether a creation failed for want of the runtime. */
export function isRuntimeNotFound(error: unknown): boolean {
  return hasReason(error, 'NotFound') && error.details?.group === runtimeApi.group;
}
