import { type ClientRequest as OutgoingRequest, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';

/** A request for a sandbox that undici cannot send. */
export interface OwnRequest {
  /** `scheme://host:port` of the sandbox. */
  origin: string;
  /** Raw path with query. */
  path: string;
  method: string;
  /** name, value, name, value; without Host. */
  headers: readonly string[];
}

/** Opens a request by node:http over a connection of its own. Nothing is sent before something is written, or it is ended. */
export function openOnOwnConnection({ origin, path, method, headers }: OwnRequest): {
  outgoing: OutgoingRequest;
  /** Event of its socket that says that the sandbox can be reached. */
  connected: 'connect' | 'secureConnect';
} {
  // Only scheme, host and port are taken from a URL; the path goes as it came.
  const { protocol, hostname, port, host } = new URL(origin);
  const secure = protocol === 'https:';
  const options = {
    host: hostname.replace(/^\[|\]$/g, ''),
    port: Number(port || (secure ? 443 : 80)),
    path,
    method,
    headers: ['Host', host, ...headers],
    agent: false,
  } as const;
  // As in the dispatcher: a Pod is identified by its address, which no certificate in it could prove.
  const outgoing = secure ? requestHttps({ ...options, rejectUnauthorized: false }) : requestHttp(options);
  return { outgoing, connected: secure ? 'secureConnect' : 'connect' };
}
