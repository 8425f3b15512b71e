import { ApiError } from '../../apis/machinery/errors.ts';
import type { ClientRequest } from '../../apis/runtime/listener.ts';

/** Largest body of a control request. */
const limitBytes = 64 * 1024;
/** How long it may take to arrive. */
const arrivalTimeoutMs = 15_000;

/**
 * Reads a small JSON object.
 * @param sendContinue asks a client that waits for it to send the body.
 * @throws ApiError BadRequest, RequestEntityTooLarge.
 */
export async function readJsonObject(
  request: ClientRequest,
  sendContinue?: () => void,
): Promise<Record<string, unknown>> {
  if (Number(request.headers['content-length'] ?? 0) > limitBytes) throw tooLarge();
  sendContinue?.();
  const body = await readBody(request);
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch (error) {
    throw new ApiError('BadRequest', 'Invalid request body', { cause: error });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ApiError('BadRequest', 'Invalid request body');
  }
  return value as Record<string, unknown>;
}

/** By events: leaving a stream's iterator destroys the stream, and with it the connection that is to carry our answer. */
function readBody(request: ClientRequest): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const settle = (act: () => void) => {
      clearTimeout(timer);
      request.off('data', onData).off('end', onEnd).off('error', onGone).off('close', onGone);
      act();
    };
    const onData = (chunk: Buffer) => {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > limitBytes) settle(() => reject(tooLarge()));
    };
    const onEnd = () => settle(() => resolve(Buffer.concat(chunks)));
    const onGone = () => settle(() => reject(new ApiError('BadRequest', 'Invalid request body: it was cut off')));
    const onLate = () => settle(() => reject(new ApiError('BadRequest', 'Invalid request body: it took too long')));
    const timer = setTimeout(onLate, arrivalTimeoutMs);
    request.on('data', onData).on('end', onEnd).on('error', onGone).on('close', onGone);
  });
}

function tooLarge(): ApiError {
  return new ApiError('RequestEntityTooLarge', `Invalid request body: the limit is ${limitBytes} bytes`);
}
