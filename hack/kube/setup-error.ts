/**
 * A failure that the person at the terminal can act on. Its message is one complete sentence (and perhaps a tool's own
 * output below it) and is printed as it is, without a stack.
 */
export class SetupError extends Error {
  override readonly name = 'SetupError';
}
