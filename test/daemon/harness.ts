import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, realpath, rm } from 'node:fs/promises';
import { type Agent, request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type CryptoKey, exportJWK, exportSPKI, generateKeyPair, type JWK } from 'jose';
import { createLog } from '../../apis/runtime/log.ts';
import { daemonEnv, keySetRoute } from '../../apis/wire/daemon.ts';
import { signKeySet } from '../../apis/wire/keyset.ts';
import { type SigningKey, signToken, type TokenSubject } from '../../apis/wire/token.ts';
import type { ExecuteResult } from '../../daemon/exec/execute.ts';
import type { DaemonOptions } from '../../daemon/options.ts';
import { createDaemon } from '../../daemon/server.ts';
import { programCommand } from '../../hack/cluster/programs.ts';

/** The keys of one installation: a root, and a signing key whose key set the root signs. */
export interface Keys {
  root: CryptoKey;
  /** As the daemon's environment carries it. */
  rootPublic: string;
  signing: SigningKey;
  signingPublic: JWK;
}

export interface SigningPair extends SigningKey {
  publicJwk: JWK;
}

export async function newSigningKey(kid: string): Promise<SigningPair> {
  const pair = await generateKeyPair('ES256', { extractable: true });
  return { kid, privateKey: pair.privateKey, publicJwk: { ...(await exportJWK(pair.publicKey)), kid } };
}

export async function newKeys(): Promise<Keys> {
  const root = await generateKeyPair('ES256', { extractable: true });
  const pem = await exportSPKI(root.publicKey);
  const signing = await newSigningKey('k1');
  return {
    root: root.privateKey,
    rootPublic: pem.replaceAll(/-----[A-Z ]+-----|\s/g, ''),
    signing,
    signingPublic: signing.publicJwk,
  };
}

export const subject: TokenSubject = {
  sessionUid: '6f9619ff-8b86-5011-b42d-00c04fc964ff',
  namespace: 'team',
  sandbox: 'py-x7k2p',
  podUid: '0b9c1c7e-5a0f-4a52-9c41-6f7a2b1d3e4f',
  user: { username: 'alice' },
};

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
  text: string;
  json: <T = Record<string, unknown>>() => T;
}

export interface RequestOptions {
  method?: string;
  headers?: Record<string, string>;
  body?: string | Buffer;
  /** Sends no Authorization header, or this one. */
  authorization?: string | undefined;
  agent?: Agent;
  signal?: AbortSignal;
}

/** A daemon under test: its address, its workspace folder, and a caller with a valid token. */
export interface TestDaemon {
  port: number;
  /** Holds the workspace, and what lies beside it. */
  folder: string;
  workspace: string;
  keys: Keys;
  /** Lines of the daemon's log. */
  log: string[];
  token: () => Promise<string>;
  /** Sends a path as it stands, with a valid token unless told otherwise. */
  request: (path: string, options?: RequestOptions) => Promise<Answer>;
  execute: (body: Record<string, unknown>, options?: RequestOptions) => Promise<ExecuteResult>;
  pushKeySet: (jws: string) => Promise<Answer>;
  stop: () => Promise<void>;
}

export interface StartOptions {
  environment?: NodeJS.ProcessEnv;
  /** Leaves the daemon without signing keys. */
  withoutKeySet?: boolean;
  options?: Partial<DaemonOptions>;
}

/** Starts a daemon in this process, on a free loopback port, with the key set of `keys` already pushed. */
export async function startDaemon(start: StartOptions = {}): Promise<TestDaemon> {
  const { folder, workspace } = await newFolder();
  const keys = await newKeys();
  const log: string[] = [];
  const daemon = await createDaemon(
    {
      listenAddress: '127.0.0.1',
      port: 0,
      workspace,
      rootKey: keys.rootPublic,
      namespace: subject.namespace,
      sandbox: subject.sandbox,
      podUid: subject.podUid,
      logLevel: 'debug',
      ...start.options,
    },
    {
      log: createLog({ level: 'debug', write: (line) => log.push(line) }),
      environment: start.environment ?? process.env,
    },
  );
  const { port } = await daemon.listen();
  const stop = async () => {
    await daemon.stop();
    await rm(folder, { recursive: true, force: true });
  };
  const client = callerOf(port, keys);
  if (start.withoutKeySet !== true) await client.pushKeySet(await signKeySet(1, [keys.signingPublic], keys.root));
  return { port, folder, workspace, keys, log, ...client, stop };
}

/** A daemon that runs as a process of its own. */
export interface DaemonProcess extends TestDaemon {
  child: ChildProcess;
}

/** Starts `daemon/main.ts` as a process; `launcher` is put in front of its command line. */
export async function startDaemonProcess(launcher: readonly string[] = []): Promise<DaemonProcess> {
  const { folder, workspace } = await newFolder();
  const keys = await newKeys();
  const log: string[] = [];
  const child = spawnDaemon(
    launcher.map((word) => word.replaceAll('WORKSPACE', workspace)),
    {
      ...process.env,
      [daemonEnv.rootKey]: keys.rootPublic,
      [daemonEnv.namespace]: subject.namespace,
      [daemonEnv.sandbox]: subject.sandbox,
      [daemonEnv.podUid]: subject.podUid,
      [daemonEnv.listenAddress]: '127.0.0.1',
      [daemonEnv.listenPort]: '0',
      [daemonEnv.workspace]: workspace,
    },
  );
  const exited = once(child, 'exit');
  const port = await new Promise<number>((resolve, reject) => {
    if (child.stdout === null) throw new Error('no stdout');
    createInterface(child.stdout).on('line', (line) => {
      log.push(line);
      const entry = JSON.parse(line) as { message: string; port?: number };
      if (entry.message === 'serving' && entry.port !== undefined) resolve(entry.port);
    });
    child.once('exit', (code) => reject(new Error(`the daemon ended with ${code}: ${log.join('\n')}`)));
  });
  const client = callerOf(port, keys);
  await client.pushKeySet(await signKeySet(1, [keys.signingPublic], keys.root));
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
    await exited;
    await rm(folder, { recursive: true, force: true });
  };
  return { child, port, folder, workspace, keys, log, ...client, stop };
}

export function spawnDaemon(launcher: readonly string[], env: NodeJS.ProcessEnv, flags: readonly string[] = []) {
  const [program = '', ...args] = [...launcher, ...programCommand('daemon'), ...flags];
  return spawn(program, args, {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

async function newFolder(): Promise<{ folder: string; workspace: string }> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'sojourn-daemon-')));
  const workspace = join(folder, 'workspace');
  await mkdir(workspace);
  return { folder, workspace };
}

/** Deletes what a test has left in a folder, so that the next one may use the same daemon. */
export async function emptyFolder(folder: string): Promise<void> {
  for (const name of await readdir(folder, { encoding: 'buffer' })) {
    await rm(Buffer.concat([Buffer.from(`${folder}/`), name]), { recursive: true, force: true });
  }
}

type Caller = Pick<TestDaemon, 'token' | 'request' | 'execute' | 'pushKeySet'>;

function callerOf(port: number, keys: Keys): Caller {
  const token = () => signToken(subject, keys.signing, new Date());
  const request = async (path: string, options: RequestOptions = {}) => {
    const authorization = 'authorization' in options ? options.authorization : `Bearer ${await token()}`;
    return await send(port, path, { ...options, authorization });
  };
  return {
    token,
    request,
    execute: async (body, options) => {
      const answer = await request('/api/execute', { method: 'POST', body: JSON.stringify(body), ...options });
      if (answer.status !== 200) throw new Error(`HTTP ${answer.status}: ${answer.text}`);
      return answer.json<ExecuteResult>();
    },
    pushKeySet: (jws) => send(port, keySetRoute, { method: 'PUT', body: jws }),
  };
}

/** One HTTP request on a connection of its own; the path goes out as it stands. */
export async function send(port: number, path: string, options: RequestOptions = {}): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const headers = { ...options.headers };
  if (options.authorization !== undefined) headers.authorization = options.authorization;
  if (options.body !== undefined && headers['transfer-encoding'] === undefined) {
    headers['content-length'] = String(Buffer.byteLength(options.body));
  }
  const request = httpRequest(
    {
      host: '127.0.0.1',
      port,
      path,
      method: options.method ?? 'GET',
      headers,
      agent: options.agent ?? false,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    },
    (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const body = Buffer.concat(chunks);
        const text = body.toString('utf8');
        const json = <T>() => JSON.parse(text) as T;
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body, text, json });
      });
    },
  );
  request.on('error', reject);
  request.end(options.body);
  return await promise;
}

/** Waits until something holds. */
export async function eventually(
  what: string,
  holds: () => boolean | Promise<boolean>,
  timeoutMs = 30_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A multipart form with the parts in the given order, as AgentCube's SDK sends it. */
export function form(parts: readonly { name: string; filename?: string; content: string | Buffer }[]): {
  body: Buffer;
  headers: Record<string, string>;
} {
  const boundary = 'sojourn-test-boundary';
  const chunks: Buffer[] = [];
  for (const { name, filename, content } of parts) {
    const file = filename === undefined ? '' : `; filename="${filename}"\r\nContent-Type: application/octet-stream`;
    chunks.push(Buffer.from(`--${boundary}\r\nContent-Disposition: form-data; name="${name}"${file}\r\n\r\n`));
    chunks.push(Buffer.from(content), Buffer.from('\r\n'));
  }
  chunks.push(Buffer.from(`--${boundary}--\r\n`));
  return { body: Buffer.concat(chunks), headers: { 'content-type': `multipart/form-data; boundary=${boundary}` } };
}
