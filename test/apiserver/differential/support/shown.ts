import type { NormalAnswer } from './normalize.ts';

/** What the two sides answer where they are meant to differ. */
export interface Shown {
  /** What is looked at in the answers to a case; default: {@link outcome}. */
  of?: (answers: readonly NormalAnswer[]) => unknown;
  session: unknown;
  twin: unknown;
}

/** The last answer in short: `404 NotFound`, or `200 Session`; a body that is no object as it is. */
export function outcome(answers: readonly NormalAnswer[]): string {
  const { status, body } = last(answers);
  if (typeof body !== 'object' || body === null) return `${status} ${String(body)}`.trimEnd();
  const { kind, reason } = body as Record<string, unknown>;
  return `${status} ${reason ?? kind}`;
}

/** The last answer in short, and what it says of the case's object: `404 NotFound: MESSAGE`. */
export function words(answers: readonly NormalAnswer[]): string {
  const { body } = last(answers);
  const { message } = Object(body) as { message?: unknown };
  if (message === undefined) return outcome(answers);
  return `${outcome(answers)}: ${String(message).replace(/"case-\d+"/g, '"NAME"')}`;
}

export function last(answers: readonly NormalAnswer[]): NormalAnswer {
  const answer = answers.at(-1);
  if (answer === undefined) throw new Error('the case has no request');
  return answer;
}
