/** An answer that could be the daemon's refusal of a key is read up to this size before it is passed on. */
export const refusalLimitBytes = 16 * 1024;

/** Whether the body of a 401 is a daemon's statement that it has not been given the token's key: JSON with that reason. */
export function isUnknownKey(body: Buffer): boolean {
  try {
    const value = JSON.parse(body.toString('utf8')) as { reason?: unknown } | null;
    return value?.reason === 'UnknownKey';
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}
