import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Busboy, type BusboyInstance } from '@fastify/busboy';
import { ApiError } from '../../apis/machinery/errors.ts';

/** Far more than the three parts of an upload, and small enough that no form fills the memory. */
const limits = { fields: 16, fieldSize: 8192, parts: 32, headerPairs: 32, headerSize: 16_384 };

export interface FormOptions<T> {
  body: Readable;
  headers: IncomingHttpHeaders;
  /** Gives up waiting for the rest of the form. */
  signal: AbortSignal;
  /** Takes the content of the part `file`, together with the fields that came before it. */
  onFile: (content: Readable, fields: ReadonlyMap<string, string>) => Promise<T>;
}

export interface Form<T> {
  fields: ReadonlyMap<string, string>;
  /** What `onFile` made of the file. */
  file: T;
}

/**
 * Reads a multipart form (RFC 7578) in constant memory. The first part `file` counts, as in PicoD.
 * @throws ApiError BadRequest for a malformed form or one without a file; whatever `body` or `onFile` failed with.
 */
export async function receiveForm<T>(options: FormOptions<T>): Promise<Form<T>> {
  const { body, onFile } = options;
  const fields = new Map<string, string>();
  const form = openForm(options.headers);
  // The parser waits for ever for a part that nobody reads on, so whatever fails has to end the whole.
  const failed = new AbortController();
  const fail = (error: unknown) => failed.abort(error);
  let part: Readable | undefined;
  let receiving: Promise<{ file: T } | undefined> | undefined;
  form.on('field', (name, value, nameCut, valueCut) => {
    if (nameCut || valueCut) fail(new ApiError('BadRequest', 'a field of the form is too long; shorten it'));
    else if (!fields.has(name)) fields.set(name, value);
  });
  form.on('file', (name, content) => {
    content.on('error', (error) => fail(malformed(error)));
    if (name !== 'file' || receiving !== undefined) {
      content.resume();
      return;
    }
    part = content;
    receiving = onFile(content, fields).then((file) => ({ file }), fail as (error: unknown) => undefined);
  });
  try {
    await pipeline(body, form, { signal: AbortSignal.any([options.signal, failed.signal]) });
  } catch (error) {
    const reason: unknown = failed.signal.aborted ? failed.signal.reason : malformed(error);
    part?.destroy(new Error('the form was given up', { cause: error }));
    await receiving;
    throw reason;
  }
  const received = await receiving;
  failed.signal.throwIfAborted();
  if (received === undefined) throw new ApiError('BadRequest', "Failed to get file: the form has no part 'file'");
  return { fields, file: received.file };
}

function openForm(headers: IncomingHttpHeaders): BusboyInstance {
  try {
    return new Busboy({ headers: { ...headers, 'content-type': headers['content-type'] ?? '' }, limits });
  } catch (error) {
    throw malformed(error);
  }
}

/** What the parser failed with; the body's own failures pass through it. */
function malformed(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  return new ApiError(
    'BadRequest',
    'Failed to get file: the multipart form is malformed or incomplete; send it again',
    {
      cause: error,
    },
  );
}
