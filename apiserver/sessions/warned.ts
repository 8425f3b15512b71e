import { ApiError } from '../../apis/machinery/errors.ts';

/** A thrown error whose answer also carries what there was to warn of before it; anything but an ApiError stays as it is. */
export function withWarnings(error: unknown, warnings: readonly string[]): unknown {
  return error instanceof ApiError && warnings.length > 0 ? error.warning(warnings) : error;
}
