import { Buffer } from 'node:buffer';
import { type FileHandle, lstat, opendir } from 'node:fs/promises';
import { errorCode } from '../http/errors.ts';
import { pathOf } from '../workspace/descriptor.ts';
import { withFileErrors } from '../workspace/errors.ts';
import { formatMode } from './mode.ts';
import { modifiedAt } from './modified.ts';

/** One entry of a directory, in PicoD's words. A link is described itself, not what it leads to. */
export interface FileEntry {
  name: string;
  /** Bytes. */
  size: number;
  /** RFC 3339. */
  modified: string;
  /** As Go's os.FileMode prints it. */
  mode: string;
  is_dir: boolean;
}

/** A directory, in PicoD's words; the last one only when it has more entries than one answer carries. */
export interface Listing {
  files: FileEntry[];
  truncated?: true;
}

/** Entries in one answer. */
const maxEntries = 10_000;
/** How many entries are looked at at once: Node's file threads are few, and others need them too. */
const batch = 16;

/** The entries of a directory, sorted by name; of one with too many, those that the file system gives first. */
export async function listDirectory(directory: FileHandle): Promise<Listing> {
  return await withFileErrors(async () => {
    const { names, truncated } = await readNames(directory);
    const entries: (FileEntry | undefined)[] = [];
    for (let start = 0; start < names.length; start += batch) {
      entries.push(...(await Promise.all(names.slice(start, start + batch).map((name) => describe(directory, name)))));
    }
    const files = entries.filter((entry) => entry !== undefined);
    return truncated ? { files, truncated } : { files };
  });
}

async function readNames(directory: FileHandle): Promise<{ names: Buffer[]; truncated: boolean }> {
  const names: Buffer[] = [];
  let truncated = false;
  // Names are bytes to the kernel; one that is not UTF-8 must still be found again, and Latin-1 keeps every byte.
  for await (const { name } of await opendir(pathOf(directory), { encoding: 'latin1', bufferSize: 256 })) {
    truncated = names.length === maxEntries;
    if (truncated) break;
    names.push(Buffer.from(name, 'latin1'));
  }
  return { names: names.sort(Buffer.compare), truncated };
}

/** Undefined when the entry has gone since its name was read. */
async function describe(directory: FileHandle, name: Buffer): Promise<FileEntry | undefined> {
  try {
    const stats = await lstat(Buffer.concat([Buffer.from(`${pathOf(directory)}/`), name]));
    return {
      name: name.toString('utf8'),
      size: stats.size,
      modified: modifiedAt(stats).toISOString(),
      mode: formatMode(stats.mode),
      is_dir: stats.isDirectory(),
    };
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
