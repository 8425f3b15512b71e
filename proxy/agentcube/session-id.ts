import { sessionIdHeader } from '../invocation/exchange.ts';

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Whether a text can be the uid of a session. */
export function isSessionId(text: string): boolean {
  return uuid.test(text);
}

/**
 * The session id of a request; undefined when it has none (an empty one counts as none, as in AgentCube). Of several
 * nobody could say which one was meant: they are given as one text, which is no id.
 */
export function sessionIdOf(rawHeaders: readonly string[]): string | undefined {
  const values: string[] = [];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    if (rawHeaders[i]?.toLowerCase() === sessionIdHeader) values.push(rawHeaders[i + 1] ?? '');
  }
  return values.length === 1 && values[0] === '' ? undefined : values.length === 0 ? undefined : values.join(', ');
}
