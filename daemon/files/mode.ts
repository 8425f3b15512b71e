import { constants } from 'node:fs';

/** Letters of a file's type (inode(7)), as Go's os.FileMode writes them. */
const typeLetters: ReadonlyMap<number, string> = new Map([
  [constants.S_IFSOCK, 'S'],
  [constants.S_IFLNK, 'L'],
  [constants.S_IFREG, ''],
  [constants.S_IFBLK, 'D'],
  [constants.S_IFDIR, 'd'],
  [constants.S_IFCHR, 'Dc'],
  [constants.S_IFIFO, 'p'],
]);
const permissions = 'rwxrwxrwx';
/** What PicoD gives a file whose upload names no mode, or none that it accepts. */
const defaultMode = 0o644;

/** A file's mode as Go's os.FileMode prints it: `-rw-r--r--`, `drwxr-xr-x`, `Lrwxrwxrwx`, `dtrwxrwxrwx`. */
export function formatMode(mode: number): string {
  const type = typeLetters.get(mode & constants.S_IFMT) ?? '?';
  // Go's order (io/fs, FileMode.String): "dalTLDpSugct?"; the sticky bit comes last, c stands before it.
  const special = `${mode & 0o4000 ? 'u' : ''}${mode & 0o2000 ? 'g' : ''}`;
  const [kind = '', character = ''] = type;
  const prefix = `${kind}${special}${character}${mode & 0o1000 ? 't' : ''}`;
  const bits = [...permissions].map((letter, index) => (mode & (0o400 >> index) ? letter : '-')).join('');
  return `${prefix === '' ? '-' : prefix}${bits}`;
}

/**
 * The mode that an upload asks for, octal text as PicoD reads it: what is no octal number up to 0777 means 0644.
 * Undefined when the upload says nothing.
 */
export function parseMode(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  const mode = /^[0-7]{1,11}$/.test(text) ? Number.parseInt(text, 8) : defaultMode;
  return mode <= 0o777 ? mode : defaultMode;
}

/** Mode of a new file whose upload names none. */
export const newFileMode = defaultMode;
