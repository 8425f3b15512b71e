import { ApiError } from '../../apis/machinery/errors.ts';
import { errorCode } from '../http/errors.ts';

/** What to say for each system error that a user's own files can cause (errno(3)). */
const answers: Readonly<Record<string, () => ApiError>> = {
  ENOENT: () => new ApiError('NotFound', 'File not found'),
  EISDIR: () => new ApiError('BadRequest', 'Path is a directory, not a file'),
  ENAMETOOLONG: () => new ApiError('BadRequest', 'the path is too long; use a shorter one'),
  ENOSPC: storageFull,
  EDQUOT: storageFull,
  EFBIG: () => new ApiError('StorageFull', 'the file is larger than the sandbox may write; write less'),
  EACCES: forbidden,
  EPERM: forbidden,
  EROFS: () => new ApiError('Forbidden', 'this part of the workspace is read-only; use another path'),
  EMFILE: exhausted,
  ENFILE: exhausted,
  ENOMEM: exhausted,
  EXDEV: () => new ApiError('BadRequest', "the file would cross into another volume; send the field 'path' first"),
};

function storageFull(): ApiError {
  return new ApiError('StorageFull', 'the disk of the sandbox is full; delete files and try again');
}

function exhausted(): ApiError {
  return new ApiError('ServiceUnavailable', 'the sandbox has no file descriptors or memory left; try again', {
    retryAfterSeconds: 1,
  });
}

function forbidden(): ApiError {
  return new ApiError(
    'Forbidden',
    'the sandbox is not permitted to use this path; change its mode or use another path',
  );
}

/** A failure of a file operation as the user may see it; what no user causes stays what it is. */
function fileError(error: unknown): unknown {
  return answers[errorCode(error) ?? '']?.() ?? error;
}

/** Runs file operations whose failures a user may see. */
export async function withFileErrors<T>(operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (error) {
    throw fileError(error);
  }
}
