import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLog } from '../../../../apis/runtime/log.ts';
import { createDaemon } from '../../../../daemon/server.ts';
import { freePort } from '../../../support/free-port.ts';
import type { TestSessions } from '../../support/sessions.ts';

/** A session whose sandbox is our real daemon, in this process. */
export interface DaemonSandbox {
  name: string;
  port: number;
  /** Ends the daemon and starts it anew in the same Pod: what it learned is gone. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export interface DaemonSandboxOptions {
  sessions: TestSessions;
  namespace: string;
  name: string;
  rootKey: string;
}

export async function startDaemonSandbox(options: DaemonSandboxOptions): Promise<DaemonSandbox> {
  const { sessions, namespace, name, rootKey } = options;
  const workspace = await mkdtemp(join(tmpdir(), 'sojourn-keys-test-'));
  // It must be known before there is a Pod whose uid the daemon can be told.
  const port = await freePort();
  const start = async (podUid: string) => {
    const daemon = await createDaemon(
      { listenAddress: '127.0.0.1', port, workspace, rootKey, namespace, sandbox: name, podUid, logLevel: 'error' },
      { log: createLog({ level: 'error' }), environment: process.env },
    );
    await daemon.listen();
    return daemon;
  };
  const endpoints = [{ pathPrefix: '/', port, protocol: 'HTTP' as const }];
  await sessions.create({ name, authMode: 'sojourn', rootKey, endpoints });
  await sessions.makeReady(name);
  const podUid = await sessions.podUid(name);
  let daemon = await start(podUid);
  return {
    name,
    port,
    restart: async () => {
      await daemon.stop();
      daemon = await start(podUid);
    },
    stop: async () => {
      await daemon.stop();
      await rm(workspace, { recursive: true });
    },
  };
}
