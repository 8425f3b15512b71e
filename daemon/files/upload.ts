import { Buffer } from 'node:buffer';
import type { Stats } from 'node:fs';
import type { Context } from 'koa';
import { ApiError } from '../../apis/machinery/errors.ts';
import { openBody, readJson } from '../http/body.ts';
import { clientGone } from '../http/requests.ts';
import type { Place, Workspace } from '../workspace/workspace.ts';
import { receiveForm } from './form.ts';
import { formatMode, parseMode } from './mode.ts';
import { modifiedAt } from './modified.ts';
import { StagedFile } from './staged-file.ts';

/** A file that was uploaded, in PicoD's words. */
export interface UploadedFile {
  /** From the workspace. */
  path: string;
  /** Bytes. */
  size: number;
  /** As Go's os.FileMode prints it. */
  mode: string;
  /** RFC 3339. */
  modified: string;
}

/**
 * Takes a file as a multipart form (fields `path`, `mode?`, file `file`), streamed to the disk.
 * A form whose file comes before its `path` is staged in the workspace itself.
 */
export async function uploadForm(ctx: Context, workspace: Workspace): Promise<UploadedFile> {
  await using opened = new AsyncDisposableStack();
  const { fields, file } = await receiveForm({
    body: openBody(ctx),
    headers: ctx.headers,
    signal: clientGone(ctx),
    onFile: async (content, known) => {
      const path = known.get('path');
      const place = path === undefined ? undefined : opened.use(await workspace.place(requiredPath(path)));
      const directory = place?.directory ?? opened.use(await workspace.openDirectory('.'));
      const staged = opened.use(await StagedFile.create(directory));
      await staged.write(content);
      return { place, staged };
    },
  });
  const place = file.place ?? opened.use(await workspace.place(requiredPath(fields.get('path'))));
  return describe(place, await file.staged.commit(place, parseMode(fields.get('mode'))));
}

/** Takes a file as JSON `{"path", "content", "mode"?}` with standard base64 content, which may be empty. */
export async function uploadJson(ctx: Context, workspace: Workspace): Promise<UploadedFile> {
  const { path, content, mode } = await readJson(ctx);
  if (typeof content !== 'string') {
    throw new ApiError('BadRequest', "Missing 'content' field; send the file's content as base64 text");
  }
  if (mode !== undefined && typeof mode !== 'string') {
    throw new ApiError('BadRequest', '\'mode\' must be octal text such as "0644"');
  }
  const bytes = decodeBase64(content);
  await using place = await workspace.place(requiredPath(path));
  await using staged = await StagedFile.create(place.directory);
  await staged.write(bytes);
  return describe(place, await staged.commit(place, parseMode(mode)));
}

function requiredPath(path: unknown): string {
  if (typeof path === 'string' && path !== '') return path;
  throw new ApiError('BadRequest', "Missing 'path' field; name the file inside the workspace");
}

function describe(place: Place, stats: Stats): UploadedFile {
  return {
    path: place.path,
    size: stats.size,
    mode: formatMode(stats.mode),
    modified: modifiedAt(stats).toISOString(),
  };
}

/**
 * Decodes standard base64 with padding (RFC 4648 §4); line breaks are skipped, as Go's base64.StdEncoding does.
 * Node itself would skip everything it cannot read.
 * @throws ApiError BadRequest
 */
function decodeBase64(text: string): Buffer {
  const packed = text.replaceAll(/[\r\n]/g, '');
  // A search for the first foreign character, because a pattern over the whole of it overflows V8's regexp stack.
  const end = packed.search(/[^A-Za-z0-9+/]/);
  const padding = end === -1 ? '' : packed.slice(end);
  if (packed.length % 4 !== 0 || !(padding === '' || padding === '=' || padding === '==')) {
    throw new ApiError('BadRequest', 'Invalid base64 content; send standard base64 with padding');
  }
  return Buffer.from(packed, 'base64');
}
