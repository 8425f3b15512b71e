import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, realpath } from 'node:fs/promises';
import { resolve } from 'node:path';
import { ApiError } from '../../apis/machinery/errors.ts';
import { openForReading } from './descriptor.ts';
import { withFileErrors } from './errors.ts';
import { namesOf } from './path.ts';
import { type Root, walk } from './walk.ts';

/** A place for a file: an open directory and a name in it. */
export interface Place extends AsyncDisposable {
  directory: FileHandle;
  name: string;
  /** Path from the workspace, as answers give it. */
  path: string;
}

/**
 * The folder that files and commands are confined to. Every path of a user becomes a file descriptor here and nowhere
 * else; the folder itself stays open from start to end, so that nobody can put another one in its place.
 */
export class Workspace implements AsyncDisposable {
  readonly #root: Root;

  private constructor(root: Root) {
    this.#root = root;
  }

  /**
   * Opens the folder, and makes it when it is missing.
   * @throws system errors of mkdir(2) and open(2).
   */
  static async open(folder: string): Promise<Workspace> {
    const path = resolve(folder);
    await mkdir(path, { recursive: true });
    const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
    return new Workspace({ handle, knownAs: [path, await realpath(path)] });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#root.handle.close();
  }

  /**
   * Opens a regular file for reading; the caller closes it.
   * @throws ApiError NotFound, PathOutsideWorkspace, BadRequest when it is a directory or no file at all, Forbidden.
   */
  async openFile(path: string): Promise<FileHandle> {
    return await withFileErrors(async () => {
      await using reference = await walk(this.#root, namesOf(path));
      const stats = await reference.stat();
      if (stats.isDirectory()) throw new ApiError('BadRequest', 'Path is a directory, not a file');
      if (!stats.isFile()) throw new ApiError('BadRequest', 'Path is a device, pipe or socket, not a file');
      return await openForReading(reference);
    });
  }

  /**
   * Opens a directory as a reference (O_PATH); the caller closes it.
   * @param options.create makes it, and what is missing on the way to it.
   * @throws ApiError NotFound, PathOutsideWorkspace, BadRequest when it is no directory, Forbidden, StorageFull.
   */
  async openDirectory(path: string, options: { create?: boolean } = {}): Promise<FileHandle> {
    return await this.#directory(namesOf(path), options);
  }

  /**
   * Where to write a file. Missing directories on the way are made; the file itself is not looked at.
   * @throws ApiError as {@link openDirectory} with `create`, BadRequest for the workspace itself.
   */
  async place(path: string): Promise<Place> {
    const names = namesOf(path);
    const name = names.pop();
    if (name === undefined) throw new ApiError('BadRequest', 'Path is a directory, not a file');
    const directory = await this.#directory(names, { create: true });
    return {
      directory,
      name,
      path: [...names, name].join('/'),
      [Symbol.asyncDispose]: () => directory.close(),
    };
  }

  async #directory(names: readonly string[], options: { create?: boolean }): Promise<FileHandle> {
    return await withFileErrors(async () => {
      const reference = await walk(this.#root, names, options);
      if ((await reference.stat()).isDirectory()) return reference;
      await reference.close();
      throw new ApiError('BadRequest', 'Path is a file, not a directory');
    });
  }
}
