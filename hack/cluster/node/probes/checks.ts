import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import type { Container, HttpGetAction, Probe } from '../api/pod.ts';
import { runCommand } from '../containers/command.ts';
import type { ProcessPlan } from '../containers/process-plan.ts';

/** Undefined when the check passed, else what kubelet would say: the end of "Readiness probe failed: ...". */
export type CheckResult = string | undefined;

export interface CheckTarget {
  container: Container;
  podIP: string;
  /** Folders and environment that commands run with. */
  plan: ProcessPlan;
}

const mostRedirects = 10;

/** Runs a probe's check once (k8s.io/kubernetes/pkg/probe). Never rejects. */
export async function check(probe: Probe, target: CheckTarget): Promise<CheckResult> {
  const timeoutMs = (probe.timeoutSeconds ?? 1) * 1000;
  try {
    if (probe.httpGet !== undefined) return await checkHttp(probe.httpGet, target, AbortSignal.timeout(timeoutMs));
    if (probe.tcpSocket !== undefined) {
      const host = probe.tcpSocket.host ?? target.podIP;
      return await checkTcp(host, portOf(probe.tcpSocket.port, target.container), timeoutMs);
    }
    if (probe.exec !== undefined) return await checkCommand(probe.exec.command ?? [], target.plan, timeoutMs);
    return 'gRPC probes are not supported by the local node';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function urlOf(httpGet: HttpGetAction, target: Pick<CheckTarget, 'container' | 'podIP'>): URL {
  const scheme = (httpGet.scheme ?? 'HTTP').toLowerCase();
  const host = httpGet.host === undefined || httpGet.host === '' ? target.podIP : httpGet.host;
  const path = httpGet.path ?? '/';
  const slash = path.startsWith('/') ? '' : '/';
  return new URL(`${scheme}://${host}:${portOf(httpGet.port, target.container)}${slash}${path}`);
}

/** @throws Error for a name that no port of the container has. */
function portOf(port: number | string, container: Container): number {
  const number = typeof port === 'number' ? port : container.ports?.find(({ name }) => name === port)?.containerPort;
  if (number === undefined) throw new Error(`couldn't find port: ${port} in container ${container.name}`);
  return number;
}

/**
 * One GET: a status from 200 to 399 passes.
 * @throws Error for a port or address that there is not.
 */
export async function checkHttp(
  httpGet: HttpGetAction,
  target: Pick<CheckTarget, 'container' | 'podIP'>,
  signal: AbortSignal,
): Promise<CheckResult> {
  const first = urlOf(httpGet, target);
  const headers: Record<string, string> = { 'User-Agent': 'kube-probe/1.37', Accept: '*/*' };
  for (const { name, value } of httpGet.httpHeaders ?? []) headers[name] = value;
  let url = first;
  for (let redirects = 0; redirects <= mostRedirects; redirects++) {
    const status = await answerOf(url, headers, signal);
    if (typeof status === 'string') return `Get "${url.href}": ${status}`;
    const next = status.location === undefined ? undefined : new URL(status.location, url);
    // A redirect to another host counts as success without being followed.
    if (next === undefined || next.hostname !== first.hostname) {
      const passed = status.code >= 200 && status.code < 400;
      return passed ? undefined : `HTTP probe failed with statuscode: ${status.code}`;
    }
    url = next;
  }
  return `Get "${url.href}": stopped after ${mostRedirects} redirects`;
}

/** Status and redirect of one GET, or why there was no answer. */
async function answerOf(
  url: URL,
  headers: Record<string, string>,
  signal: AbortSignal,
): Promise<{ code: number; location: string | undefined } | string> {
  // Certificates are not verified: kubelet does not either.
  const options = { headers, signal, agent: false, rejectUnauthorized: false } as const;
  const request = url.protocol === 'https:' ? httpsRequest(url, options) : httpRequest(url, options);
  try {
    request.end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    const code = response.statusCode ?? 0;
    const location = code >= 300 && code < 400 ? response.headers.location : undefined;
    return { code, location };
  } catch (error) {
    if (signal.aborted) return 'context deadline exceeded (Client.Timeout exceeded while awaiting headers)';
    return dialText(url.hostname, url.port, error);
  } finally {
    // What follows, a reset among it, is of no interest any more.
    request.on('error', () => request.destroy());
    request.destroy();
  }
}

async function checkTcp(host: string, port: number, timeoutMs: number): Promise<CheckResult> {
  const signal = AbortSignal.timeout(timeoutMs);
  const socket = connect({ host, port, signal });
  try {
    await once(socket, 'connect');
    return undefined;
  } catch (error) {
    return signal.aborted ? `dial tcp ${host}:${port}: i/o timeout` : dialText(host, String(port), error);
  } finally {
    socket.destroy();
  }
}

function dialText(host: string, port: string, error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ECONNREFUSED') return `dial tcp ${host}:${port}: connect: connection refused`;
  return code === 'ECONNRESET' ? 'EOF' : message;
}

async function checkCommand(command: readonly string[], plan: ProcessPlan, timeoutMs: number): Promise<CheckResult> {
  const end = await runCommand(command, plan, AbortSignal.timeout(timeoutMs));
  if (end === 'broken off') return `command timed out: "${command.join(' ')}" timed out after ${timeoutMs / 1000}s`;
  return end.exitCode === 0 ? undefined : end.output;
}
