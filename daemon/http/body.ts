import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import type { Context } from 'koa';
import { ApiError } from '../../apis/machinery/errors.ts';
import { bodyLimitBytes } from '../../apis/wire/daemon.ts';
import { bodyTooLarge } from './limits.ts';

/** Whether a request's header says that a body follows (RFC 9112 §6.3). */
export function announcesBody(req: IncomingMessage): boolean {
  return req.headers['transfer-encoding'] !== undefined || Number(req.headers['content-length'] ?? 0) > 0;
}

/**
 * The request body as a stream that fails with 413 at the first byte over the limit and with 400 when the client
 * leaves in the middle. It stands apart from the request: destroying it leaves the connection alone, so that the
 * error can still be answered.
 */
export function openBody(ctx: Context, limitBytes: number = bodyLimitBytes): Readable {
  const { req, res } = ctx;
  // The client waits for a go-ahead (RFC 9110 §10.1.1), which is given only here: refusals come before the body.
  if (req.headers.expect?.toLowerCase() === '100-continue') res.writeContinue();
  let received = 0;
  const body = new Readable({
    read: () => req.resume(),
    destroy: (error, callback) => {
      req.off('data', take).off('end', finish).off('close', abandon).pause();
      callback(error);
    },
  });
  const take = (chunk: Buffer) => {
    received += chunk.length;
    if (received > limitBytes) body.destroy(bodyTooLarge(limitBytes));
    else if (!body.push(chunk)) req.pause();
  };
  const finish = () => {
    req.off('close', abandon);
    body.push(null);
  };
  const abandon = () => body.destroy(new ApiError('BadRequest', 'the request body ended early; send it again'));
  if (req.destroyed) abandon();
  else req.on('data', take).once('end', finish).once('close', abandon);
  return body;
}

/** The whole request body in memory. */
export async function readBody(ctx: Context, limitBytes: number = bodyLimitBytes): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of openBody(ctx, limitBytes) as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/**
 * A JSON object from the request body; fields are the caller's to check.
 * @throws ApiError BadRequest when the body is anything else.
 */
export async function readJson(ctx: Context): Promise<Record<string, unknown>> {
  const text = (await readBody(ctx)).toString('utf8');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    // The parser's own text quotes the body.
    throw new ApiError('BadRequest', 'Invalid request body: it is not JSON; send one JSON object', { cause: error });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ApiError('BadRequest', 'Invalid request body: it is not a JSON object; send one JSON object');
  }
  return value as Record<string, unknown>;
}
