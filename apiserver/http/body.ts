import type { Readable } from 'node:stream';
import { ApiError } from '../../apis/machinery/errors.ts';

/** Largest body of a resource request in bytes (k8s.io/apiserver, MaxRequestBodyBytes). */
const resourceBodyLimitBytes = 3 * 1024 * 1024;

/**
 * Reads a request body whole.
 * @throws ApiError RequestEntityTooLarge at the limit, without reading on; behind the aggregator no length is announced.
 */
export async function readBody(request: Readable & { headers: NodeJS.Dict<string | string[]> }): Promise<Buffer> {
  if (Number(request.headers['content-length'] ?? 0) > resourceBodyLimitBytes) throw tooLarge();
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    // A stream that its iterator destroys forgets its connection, and whoever answers could not close that any more.
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > resourceBodyLimitBytes) throw tooLarge();
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw new ApiError('BadRequest', 'the request ended before its body was complete', { cause: error });
  }
  return Buffer.concat(chunks);
}

function tooLarge(): ApiError {
  return new ApiError('RequestEntityTooLarge', `Request entity too large: limit is ${resourceBodyLimitBytes}`);
}
