import { ApiError } from '../../apis/machinery/errors.ts';

const timeouts = new Set(['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'UND_ERR_CONNECT_TIMEOUT', 'ETIMEDOUT']);
const unsendable = new Set(['UND_ERR_INVALID_ARG', 'UND_ERR_NOT_SUPPORTED', 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH']);
const unreachable = new Set(['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL']);

/** Code of a reset that must not be taken for the end of an answer; see sandbox-agent.ts. */
export const resetCode = 'ERR_SANDBOX_RESET';
const lost = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE', resetCode]);

/** Whether an error says that a connection is over, and nothing about the request that was on it. */
export function isLost(error: unknown): boolean {
  return lost.has(codeOf(error));
}

/** What failed between us and a sandbox, as the error that its caller gets. Addresses stay inside. */
export function upstreamError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  const code = codeOf(error);
  if (timeouts.has(code)) {
    const message = 'the sandbox did not begin to answer in time; try again, or ask for less in one call';
    return new ApiError('UpstreamTimeout', message, { cause: error });
  }
  if (unsendable.has(code)) {
    return new ApiError(
      'BadRequest',
      'the request cannot be forwarded: its headers contradict its body or each other',
      {
        cause: error,
      },
    );
  }
  const message = unreachable.has(code)
    ? 'nothing in the sandbox listens on the port of this path; check the ports of the runtime'
    : 'the sandbox broke off before it answered; see the log of its Pod, then try again';
  return new ApiError('UpstreamFailed', message, { cause: error });
}

function codeOf(error: unknown): string {
  const code = error instanceof Error ? (error as { code?: unknown }).code : undefined;
  return typeof code === 'string' ? code : '';
}
