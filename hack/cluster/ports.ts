import { once } from 'node:events';
import { createServer } from 'node:net';
import { readIfPresent, writeFileAtomically } from './files.ts';

/**
 * A free port on 127.0.0.1 for each name. The file remembers them, so that a restart finds the same ones and
 * kubeconfigs that users hold stay right; one that somebody else has taken meanwhile is replaced.
 * Different callers may keep their names in the same file, one after the other.
 */
export async function assignPorts<N extends string>(file: string, names: readonly N[]): Promise<Record<N, number>> {
  const remembered = JSON.parse((await readIfPresent(file)) ?? '{}') as Record<string, number>;
  const assigned: Record<string, number> = { ...remembered };
  const taken = new Set(Object.values(remembered));
  for (const name of names) {
    const port = remembered[name];
    if (port !== undefined && (await isFree(port))) continue;
    assigned[name] = await findFree(taken);
  }
  await writeFileAtomically(file, `${JSON.stringify(assigned, null, 2)}\n`);
  return assigned as Record<N, number>;
}

/**
 * Below the range from which Linux takes the ports of outgoing connections (32768 up, ip_local_port_range): one from
 * inside could be lost to any connection between now and the moment that its server binds it, or at the next restart.
 */
const LOWEST = 20_000;
const HIGHEST = 32_767;

async function findFree(taken: Set<number>): Promise<number> {
  for (let attempt = 0; attempt < 1000; attempt++) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST + 1));
    if (taken.has(port) || !(await isFree(port))) continue;
    taken.add(port);
    return port;
  }
  throw new Error(`no free port on 127.0.0.1 between ${LOWEST} and ${HIGHEST}`);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen({ port, host: '127.0.0.1', exclusive: true });
    await once(server, 'listening');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return false;
    throw error;
  }
  server.close();
  await once(server, 'close');
  return true;
}
