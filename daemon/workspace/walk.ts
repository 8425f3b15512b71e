import { type FileHandle, readlink } from 'node:fs/promises';
import { ApiError } from '../../apis/machinery/errors.ts';
import { errorCode } from '../http/errors.ts';
import { at, openOrMakeDirectory, openReference, reopenDirectory } from './descriptor.ts';
import { outsideWorkspace } from './path.ts';

/** As many symbolic links as the kernel itself follows in one path (path_resolution(7)). */
const maxLinks = 40;
/** Names that one walk takes in all, those of link targets included: each directory on the way costs a descriptor. */
const maxNames = 256;

/** The folder that no walk leaves. */
export interface Root {
  handle: FileHandle;
  /** Paths by which programs in the sandbox know the folder; absolute links that begin with one lead inside. */
  knownAs: readonly string[];
}

/**
 * Walks from the root along names and returns a reference (O_PATH) to what is there, which the caller closes.
 *
 * One name at a time is opened relative to the directory opened before it, without following links. So nobody who
 * renames, replaces or links directories meanwhile can lead the walk elsewhere: there is no moment between a check
 * and a use. Links are followed by hand, as openat2(2) does with RESOLVE_BENEATH: their targets are walked by the
 * same rules, `..` goes back to the directory the walk came from and never above the root, and an absolute target
 * must begin with the root's own path. (Virtual environments and package folders are full of links; refusing them
 * all would be safe and useless.)
 *
 * @param options.create makes directories that are missing, the last name included.
 * @throws ApiError PathOutsideWorkspace, BadRequest for a path too deep, or for a file on the way NotFound (BadRequest with `create`); system errors of open(2).
 */
export async function walk(
  root: Root,
  names: readonly string[],
  options: { create?: boolean } = {},
): Promise<FileHandle> {
  const openName = options.create === true ? openOrMakeDirectory : openReference;
  const trail: FileHandle[] = [];
  const ahead = names.toReversed();
  let links = 0;
  let taken = 0;
  try {
    for (let name = ahead.pop(); name !== undefined; name = ahead.pop()) {
      taken += 1;
      if (taken + ahead.length > maxNames) throw tooDeep();
      if (name === '..') {
        await leave(trail);
        continue;
      }
      const here = trail.at(-1) ?? root.handle;
      const found = await openName(here, name);
      trail.push(found);
      const stats = await found.stat();
      if (stats.isSymbolicLink()) {
        await leave(trail);
        links += 1;
        if (links > maxLinks)
          throw new ApiError('BadRequest', 'the path has too many symbolic links; use a direct one');
        ahead.push(...(await followLink(root, trail, here, name)));
      } else if (!stats.isDirectory() && ahead.length > 0) {
        throw notADirectory(options);
      }
    }
    return trail.pop() ?? (await reopenDirectory(root.handle));
  } finally {
    for (const handle of trail) await handle.close();
  }
}

function tooDeep(): ApiError {
  return new ApiError('BadRequest', `the path has more than ${maxNames} names, links followed; use a shorter one`);
}

/** What lies below a file is not there to be read, and cannot be made. */
function notADirectory(options: { create?: boolean }): ApiError {
  const sentence = 'a part of the path is a file, not a directory';
  return options.create === true
    ? new ApiError('BadRequest', `${sentence}; use another path`)
    : new ApiError('NotFound', `File not found: ${sentence}`);
}

/** One step back on the way that was come; `..` of the kernel would be another directory if this one was moved. */
async function leave(trail: FileHandle[]): Promise<void> {
  const last = trail.pop();
  if (last === undefined) throw outsideWorkspace();
  await last.close();
}

/** Names to walk in place of a link, last one first. An absolute target restarts at the root. */
async function followLink(root: Root, trail: FileHandle[], here: FileHandle, name: string): Promise<string[]> {
  let target: string;
  try {
    target = await readlink(at(here, name));
  } catch (error) {
    // EINVAL: it was a link a moment ago and is something else now. Look again; the count of links bounds this.
    if (errorCode(error) !== 'EINVAL') throw error;
    return [name];
  }
  if (!target.startsWith('/')) return namesIn(target).reverse();
  const inside = root.knownAs.map((path) => namesBelow(path, target)).find((names) => names !== undefined);
  if (inside === undefined) throw outsideWorkspace();
  while (trail.length > 0) await leave(trail);
  return inside.reverse();
}

/** Names of an absolute path below a folder, undefined when it does not begin with that folder. */
function namesBelow(folder: string, path: string): string[] | undefined {
  const prefix = namesIn(folder);
  const names = namesIn(path);
  return prefix.every((name, index) => names[index] === name) ? names.slice(prefix.length) : undefined;
}

function namesIn(path: string): string[] {
  return path.split('/').filter((name) => name !== '' && name !== '.');
}
