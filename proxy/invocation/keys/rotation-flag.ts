import { parseDuration } from '../../../apis/v1alpha1/duration.ts';

/** Below it, a key would get a successor before the last token of its predecessor has run out. */
const shortestMs = 10 * 60_000;

/** `--signing-key-rotation` of every process that signs tokens. */
export const signingKeyRotationFlag = {
  value: 'DURATION',
  help: 'age at which the key that signs tokens gets a successor',
  default: '24h',
  parse: (text: string): number => {
    const ms = parseDuration(text);
    if (ms < shortestMs) throw new Error(`must be at least 10m, not "${text}"`);
    return ms;
  },
} as const;
