import { constants } from 'node:fs';
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { errorCode } from '../http/errors.ts';

/** O_PATH of Linux (fcntl.h), the same number on x86-64 and arm64; Node does not export it. */
const openPath = 0o10000000;

/**
 * A name inside an open directory, as a path that Node's functions take. Node has neither openat(2) nor openat2(2);
 * on Linux the link `/proc/self/fd/N` leads to the open directory itself (proc_pid_fd(5)), wherever it has been moved
 * or whatever has taken its place, so one name after it is resolved exactly as openat(N, name) would.
 */
export function at(directory: FileHandle, name: string): string {
  return `/proc/self/fd/${directory.fd}/${name}`;
}

/** The open file or directory itself, as a path. */
export function pathOf(handle: FileHandle): string {
  return `/proc/self/fd/${handle.fd}`;
}

/**
 * Opens a name as a mere reference: nothing is followed (a link is opened as itself), nothing is read, no FIFO blocks
 * and no device is touched, before somebody has looked at what it is.
 */
export async function openReference(directory: FileHandle, name: string): Promise<FileHandle> {
  return await open(at(directory, name), openPath | constants.O_NOFOLLOW);
}

/** The same, with an empty directory made when the name is free. */
export async function openOrMakeDirectory(directory: FileHandle, name: string): Promise<FileHandle> {
  try {
    return await openReference(directory, name);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
  }
  try {
    await mkdir(at(directory, name), 0o755);
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
  }
  return await openReference(directory, name);
}

/** A second reference to an open directory. */
export async function reopenDirectory(directory: FileHandle): Promise<FileHandle> {
  return await open(pathOf(directory), openPath | constants.O_DIRECTORY);
}

/** Opens for reading what a reference refers to. Only for what is known to be a regular file. */
export async function openForReading(reference: FileHandle): Promise<FileHandle> {
  return await open(pathOf(reference), constants.O_RDONLY);
}
