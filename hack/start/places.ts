import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout this file lies in. */
export const checkout = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

/** Where the local cluster keeps everything: `$SOJOURN_DIR`, else `.sojourn` in the checkout. */
export function stateDir(env: NodeJS.ProcessEnv): string {
  return resolve(env.SOJOURN_DIR || `${checkout}/.sojourn`);
}

/** The files that README, `npm start` and `npm run demo` use. */
export const exampleFiles = {
  codeInterpreter: `${checkout}/deploy/examples/code-interpreter.yaml`,
  session: `${checkout}/deploy/examples/session.yaml`,
  execute: `${checkout}/deploy/examples/execute.json`,
} as const;
