import { ApiError, type ErrorOptions, type Reason } from '../../apis/machinery/errors.ts';

/** Body of every error of the daemon: AgentCube PicoD's shape, and the machine-readable reason. */
export interface ErrorBody {
  error: string;
  code: number;
  reason: Reason;
  /** What to do about it, where `error` is a phrase that PicoD's clients know. */
  detail?: string;
}

/** An error whose headline is PicoD's own phrase; the helpful sentence travels as its detail. */
export function detailed(reason: Reason, headline: string, detail: string, options: ErrorOptions = {}): ApiError {
  return new ApiError(reason, headline, { ...options, details: { causes: [{ reason, message: detail }] } });
}

/** The body that an error is answered with. */
export function errorBody(error: ApiError): ErrorBody {
  const detail = error.details?.causes?.[0]?.message;
  return {
    error: error.message,
    code: error.code,
    reason: error.reason,
    ...(detail === undefined ? {} : { detail }),
  };
}

/** Code of a Node system error (`ENOENT`), undefined for any other value. */
export function errorCode(error: unknown): string | undefined {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return typeof code === 'string' ? code : undefined;
}
