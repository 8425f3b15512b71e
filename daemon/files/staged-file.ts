import { randomUUID } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { type FileHandle, lstat, open, rename, unlink } from 'node:fs/promises';
import { ApiError } from '../../apis/machinery/errors.ts';
import { errorCode } from '../http/errors.ts';
import { at } from '../workspace/descriptor.ts';
import { withFileErrors } from '../workspace/errors.ts';
import type { Place } from '../workspace/workspace.ts';
import { newFileMode } from './mode.ts';

/**
 * A file in the making: written under a name of its own, and given its real one at once when it is complete. So a
 * reader sees the old file or the new one and never a part, and an upload that fails leaves nothing. Disposing of one
 * that was not committed deletes it.
 */
export class StagedFile implements AsyncDisposable {
  readonly #directory: FileHandle;
  readonly #name: string;
  readonly #file: FileHandle;
  #committed = false;

  private constructor(directory: FileHandle, name: string, file: FileHandle) {
    this.#directory = directory;
    this.#name = name;
    this.#file = file;
  }

  /** Begins a file in a directory, which must stay open until the file is committed or disposed of. */
  static async create(directory: FileHandle): Promise<StagedFile> {
    const name = `.sojourn-upload-${randomUUID()}`;
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    return await withFileErrors(
      async () => new StagedFile(directory, name, await open(at(directory, name), flags, 0o600)),
    );
  }

  /** Appends content; a stream is written in constant memory. */
  async write(content: Buffer | AsyncIterable<Buffer>): Promise<void> {
    await withFileErrors(() => this.#file.writeFile(content));
  }

  /**
   * Puts the file in its place, over a file or link that is there.
   * @param mode permission bits; those of the file it replaces when undefined.
   * @throws ApiError BadRequest when a directory is there.
   */
  async commit(place: Place, mode: number | undefined): Promise<Stats> {
    return await withFileErrors(async () => {
      const target = at(place.directory, place.name);
      const replaced = await lstatIfThere(target);
      if (replaced?.isDirectory()) throw new ApiError('BadRequest', 'Path is a directory, not a file');
      // chmod, because the mode of open(2) is masked by the umask.
      await this.#file.chmod(mode ?? (replaced?.isFile() ? replaced.mode & 0o777 : newFileMode));
      const stats = await this.#file.stat();
      await rename(at(this.#directory, this.#name), target);
      this.#committed = true;
      return stats;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      if (!this.#committed) await unlink(at(this.#directory, this.#name));
    } catch (error) {
      // Somebody in the sandbox was quicker.
      if (errorCode(error) !== 'ENOENT') throw error;
    } finally {
      await this.#file.close();
    }
  }
}

async function lstatIfThere(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
