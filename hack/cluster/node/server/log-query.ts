import { ApiError } from '../../../../apis/machinery/errors.ts';
import type { LogQuery } from '../logs/log-reader.ts';

/**
 * Reads the query of `/containerLogs` (v1 PodLogOptions, validated as kubelet does).
 * @throws ApiError BadRequest naming the parameter.
 */
export function parseLogQuery(query: URLSearchParams, now: number): LogQuery & { previous: boolean } {
  const tailLines = wholeNumber(query, 'tailLines');
  const limitBytes = wholeNumber(query, 'limitBytes');
  const since = sinceOf(query, now);
  const stream = query.get('stream') ?? 'All';
  if (!['All', 'Stdout', 'Stderr'].includes(stream)) {
    throw new ApiError('BadRequest', `stream must be All, Stdout or Stderr, not "${stream}"`);
  }
  return {
    follow: isSet(query, 'follow'),
    previous: isSet(query, 'previous'),
    timestamps: isSet(query, 'timestamps'),
    ...(tailLines === undefined ? {} : { tailLines }),
    ...(limitBytes === undefined ? {} : { limitBytes }),
    ...(since === undefined ? {} : { since }),
    ...(stream === 'All' ? {} : { stream: stream === 'Stderr' ? 'stderr' : 'stdout' }),
  };
}

function sinceOf(query: URLSearchParams, now: number): number | undefined {
  const seconds = wholeNumber(query, 'sinceSeconds');
  if (seconds !== undefined) return now - seconds * 1000;
  const time = query.get('sinceTime');
  if (time === null) return undefined;
  const milliseconds = Date.parse(time);
  if (Number.isNaN(milliseconds)) throw new ApiError('BadRequest', `sinceTime must be RFC 3339, not "${time}"`);
  return milliseconds;
}

function wholeNumber(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  if (!/^\d+$/.test(text)) throw new ApiError('BadRequest', `${name} must be a whole number, not "${text}"`);
  return Number(text);
}

function isSet(query: URLSearchParams, name: string): boolean {
  return query.get(name) === 'true' || query.get(name) === '1';
}
