import type { FileHandle } from 'node:fs/promises';
import { extname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Context } from 'koa';
import { ApiError } from '../../apis/machinery/errors.ts';
import { modifiedAt } from './modified.ts';
import { type ByteRange, parseRange } from './range.ts';

/**
 * Answers with a file's bytes: Content-Length, Last-Modified and ETag, conditional requests, one range. Nothing is
 * compressed, which would cost the length and make ranges lie.
 * @param name of the file, for Content-Disposition.
 */
export async function sendFile(ctx: Context, file: FileHandle, name: string): Promise<void> {
  const stats = await file.stat({ bigint: true });
  const size = Number(stats.size);
  ctx.status = 200;
  ctx.set('Accept-Ranges', 'bytes');
  ctx.set('X-Content-Type-Options', 'nosniff');
  ctx.etag = `${stats.ino.toString(16)}-${stats.mtimeNs.toString(16)}-${stats.size.toString(16)}`;
  ctx.lastModified = modifiedAt(stats);
  if (ctx.fresh) {
    ctx.status = 304;
    return;
  }
  const range = currentRange(ctx, size);
  if (range !== undefined) {
    ctx.status = 206;
    ctx.set('Content-Range', `bytes ${range.start}-${range.end}/${size}`);
  }
  ctx.type = extname(name);
  if (ctx.type === '') ctx.type = 'application/octet-stream';
  ctx.attachment(name);
  ctx.set('Content-Description', 'File Transfer');
  ctx.set('Content-Transfer-Encoding', 'binary');
  await sendBytes(ctx, file, range ?? { start: 0, end: size - 1 });
}

/** The range to send, unless If-Range says that the client has a part of another version (RFC 9110 §13.1.5). */
function currentRange(ctx: Context, size: number): ByteRange | undefined {
  const validator = ctx.get('If-Range');
  if (validator !== '' && validator !== ctx.response.get('ETag') && validator !== ctx.response.get('Last-Modified')) {
    return undefined;
  }
  const range = ctx.method === 'GET' ? parseRange(ctx.get('Range'), size) : undefined;
  if (range !== 'unsatisfiable') return range;
  ctx.set('Content-Range', `bytes */${size}`);
  throw new ApiError('BadRequest', `the file has ${size} bytes; ask for a range inside them`, { code: 416 });
}

async function sendBytes(ctx: Context, file: FileHandle, range: ByteRange): Promise<void> {
  const length = range.end - range.start + 1;
  ctx.length = length;
  ctx.respond = false;
  if (ctx.method === 'HEAD' || length === 0) {
    ctx.res.end();
    return;
  }
  const content = file.createReadStream({ ...range, autoClose: false });
  await pipeline(content, ctx.res, { end: false });
  // A file that shrank meanwhile leaves the announced length unmet; the client must not wait for it, nor reuse this.
  if (content.bytesRead < length) ctx.res.destroy();
  else ctx.res.end();
}
