import { ApiError, hasReason } from '../../apis/machinery/errors.ts';

/**
 * A review that could not be held, as its caller may see it: never a pass, and never kube-apiserver's own words, which
 * are about our account and not about the user's.
 */
export function reviewFailed(sentence: string, error: unknown): ApiError {
  if (hasReason(error, 'ServiceUnavailable', 'TooManyRequests', 'Timeout', 'ServerTimeout')) {
    return new ApiError('ServiceUnavailable', `${sentence}; try again`, {
      cause: error,
      retryAfterSeconds: error.retryAfterSeconds ?? 1,
    });
  }
  return new ApiError('InternalError', `${sentence}; the server log has the details`, { cause: error });
}
