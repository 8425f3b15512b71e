import { readFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { CredentialPaths } from './pki.ts';

/** Certificates for a probe over TLS. */
export interface ProbeCredentials {
  ca: string;
  client: CredentialPaths;
}

/** A condition that holds when `url` answers 200; a refused connection or any other status is "not yet". */
export async function answersOk(url: string, credentials?: ProbeCredentials): Promise<() => Promise<boolean>> {
  const tls =
    credentials === undefined
      ? {}
      : {
          ca: await readFile(credentials.ca),
          cert: await readFile(credentials.client.cert),
          key: await readFile(credentials.client.key),
        };
  const request = credentials === undefined ? httpRequest : httpsRequest;
  return () =>
    new Promise<boolean>((resolve) => {
      const call = request(url, { ...tls, agent: false, timeout: PROBE_TIMEOUT_MS }, (response) => {
        response.resume();
        resolve(response.statusCode === 200);
      });
      call.on('timeout', () => call.destroy());
      // While a server starts, refused and reset connections are the normal case; whoever waits has a deadline.
      call.on('error', () => resolve(false));
      call.on('close', () => resolve(false));
      call.end();
    });
}

const PROBE_TIMEOUT_MS = 2000;
