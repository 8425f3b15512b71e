import type { Seen } from './case.ts';

/** The first line of the request, as the program got it. */
export const requestLine = ({ body }: Seen) => body.split('\r\n')[0] ?? '';

/** A header of the request, as the program got it. */
export const heardHeader =
  (name: string) =>
  ({ body }: Seen) =>
    linesOf(body, name);

/** A header of the answer. */
export const header =
  (name: string) =>
  ({ head }: Seen) =>
    linesOf(head, name);

export const code = (seen: Seen) => seen.code || 'nothing';

export const forwarded = (seen: Seen) =>
  ['for', 'proto', 'uri'].map((what) => heardHeader(`x-forwarded-${what}`)(seen)).join(', ');

/** How the body of a request was framed, as the program got it. */
export const framing = ({ body }: Seen) =>
  partsOf(body, /\r\n(?:content-length|transfer-encoding): [^\r]*|\r\n\r\n[\s\S]*$/gi);

/** How the body of an answer was framed. */
export const answerFraming = ({ text }: Seen) =>
  partsOf(text, /\r\n(?:content-length|transfer-encoding|trailer): [^\r]*|\r\n\r\n[\s\S]*$/gi);

/** The codes of all answers to the request, each once. */
export const statuses = ({ text }: Seen) =>
  [...new Set((text.match(/HTTP\/1\.1 \d{3} [^\r]*\r\n(?=[A-Za-z\r])/g) ?? []).map((line) => line.slice(9, 12)))].join(
    ', ',
  );

export const links = ({ body }: Seen) => /href="[^"]*"/.exec(body)?.[0] ?? 'none';

/** With the part that differs from run to run left out. */
export const masked = (see: (seen: Seen) => string, part: RegExp) => (seen: Seen) => see(seen).replace(part, '…');

/** Whether an answer came to its end, by its length or its last chunk. */
export const cut = ({ text }: Seen) => {
  const length = Number(/\r\ncontent-length: (\d+)/i.exec(text)?.[1] ?? Number.NaN);
  const body = text.slice(text.indexOf('\r\n\r\n') + 4);
  return body.length === length || /\r\n0\r\n\r\n$/.test(text) ? 'whole' : 'broken off';
};

export const codeAndBody = (seen: Seen) => `${code(seen)} ${seen.body.slice(0, 70)}`.trim();

function linesOf(text: string, header: string): string {
  const lines = text.split('\r\n').filter((line) => line.toLowerCase().startsWith(`${header}:`));
  return lines.join(' | ') || 'none';
}

function partsOf(text: string, part: RegExp): string {
  const parts = (text.match(part) ?? []).map((found) => found.trim().replaceAll('\r\n', ' '));
  return parts.join(', ').toLowerCase();
}
