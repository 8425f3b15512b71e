import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { streamReporter } from '../../../../hack/kube/progress.ts';
import { ensurePicod } from '../../../../hack/picod/picod.ts';
import { freePort } from '../../../support/free-port.ts';
import { until } from '../../../support/until.ts';

/** A first build takes less than a minute on two cores; its modules may have to be fetched. */
const buildTimeoutMs = 300_000;

/** Gives a suite AgentCube's own PicoD, built once; its path is there from the suite's `before` on. */
export function usePicod(): { readonly file: string } {
  let file: string | undefined;
  before(async function () {
    this.timeout(buildTimeoutMs);
    file = await ensurePicod(streamReporter(process.stderr));
  });
  return {
    get file() {
      if (file === undefined) throw new Error('PicoD is there from the suite’s before hooks on');
      return file;
    },
  };
}

export interface RunningPicod {
  port: number;
  stop(): Promise<void>;
}

/** Runs PicoD as a container of a session would, with this public key. */
export async function startPicod(file: string, publicKey: string): Promise<RunningPicod> {
  const workspace = await mkdtemp(join(tmpdir(), 'sojourn-picod-test-'));
  const port = await freePort();
  const child: ChildProcess = spawn(file, ['--port', String(port), '--workspace', workspace], {
    env: { PATH: process.env.PATH, PICOD_AUTH_PUBLIC_KEY: publicKey },
    stdio: 'ignore',
  });
  const exited = once(child, 'exit');
  const stop = async () => {
    child.kill('SIGKILL');
    await exited;
    await rm(workspace, { recursive: true });
  };
  try {
    await until('PicoD to listen', async () => await isHealthy(port));
  } catch (error) {
    await stop();
    throw error;
  }
  return { port, stop };
}

async function isHealthy(port: number): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${port}/health`)).ok;
  } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  }
}
