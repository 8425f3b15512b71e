import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startCluster } from '../cluster/cluster.ts';
import type { Reporter } from '../kube/progress.ts';
import { stateDir } from '../start/places.ts';

/** Runs something against the running local cluster, or against one of its own that it stops and removes afterwards. */
export async function withDemoCluster(reporter: Reporter, run: (dir: string) => Promise<void>): Promise<void> {
  const { report } = reporter;
  const running = stateDir(process.env);
  if (answers(running)) {
    report(`Using the cluster that runs in ${running}.`);
    return await run(running);
  }
  report('No local cluster is running: starting one for the demo.');
  const dir = await mkdtemp(join(tmpdir(), 'sojourn-demo-'));
  const onExit = ({ name, logTail }: { name: string; logTail: string }) =>
    report(`${name} ended by itself:\n${logTail}`);
  try {
    const cluster = await startCluster({ ...reporter, dir, onExit });
    try {
      await run(dir);
    } finally {
      await cluster.stop();
    }
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

function answers(dir: string): boolean {
  const { status } = spawnSync(
    join(dir, 'bin', 'kubectl'),
    ['get', '--raw', '/apis/sojourn.dev/v1alpha1', '--request-timeout=5s'],
    {
      env: { ...process.env, KUBECONFIG: join(dir, 'kubeconfig') },
    },
  );
  return status === 0;
}
