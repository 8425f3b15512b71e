import type { X509Certificate } from 'node:crypto';
import type { KubeClient } from '../../apis/client/transport.ts';
import type { Log } from '../../apis/runtime/log.ts';
import { PublishedSettings, readCertificates } from '../../proxy/access/published-settings.ts';

/** How kube-apiserver introduces the users it speaks for. */
export interface RequestHeaderConfig {
  /** CAs whose client certificates may introduce users. */
  authorities: X509Certificate[];
  /** Common names allowed to; empty means any. */
  allowedNames: string[];
  usernameHeaders: string[];
  groupHeaders: string[];
  /** Lower case. */
  extraPrefixes: string[];
  /** Empty on a kube-apiserver that does not say so: an older one would not strip a forged header. */
  uidHeaders: string[];
}

export interface RequestHeaderConfigOptions {
  client: KubeClient;
  log: Log;
  /** Whether to go on although every client of the cluster could introduce users; see {@link readRequestHeaderConfig}. */
  allowSharedCa: boolean;
}

/** Follows kube-apiserver's front-proxy settings; what cannot be used is logged, and the last good ones stay in force. */
export class RequestHeaderConfigSource extends PublishedSettings<RequestHeaderConfig> {
  #problem: string | undefined;

  constructor({ client, log, allowSharedCa }: RequestHeaderConfigOptions) {
    super({
      client,
      log,
      read: (data) => {
        const read = readRequestHeaderConfig(data, { allowSharedCa });
        this.#problem = 'problem' in read ? read.problem : undefined;
        if ('problem' in read) {
          log.error('the front-proxy settings cannot be used; the last good ones stay in force', {
            problem: read.problem,
          });
          return undefined;
        }
        if (read.config.allowedNames.length === 0)
          log.warn('kube-apiserver allows ANY CLIENT of its front-proxy CA to introduce users', { allowSharedCa });
        return read.config;
      },
    });
  }

  /** Why nobody can be authenticated; undefined when they can. */
  problem(): string | undefined {
    if (this.current !== undefined) return undefined;
    return this.#problem ?? 'not read from kube-apiserver yet';
  }
}

/**
 * Reads the settings as kube-apiserver publishes them. They are refused when any certificate of a client of the cluster
 * would do to introduce users: no name is asked for, and the front proxy’s CA is the clients’ (compare GHSA-38jw-g2qx-4286, of KubeVirt).
 */
export function readRequestHeaderConfig(
  data: Readonly<Record<string, string>>,
  { allowSharedCa }: { allowSharedCa: boolean },
): { config: RequestHeaderConfig } | { problem: string } {
  let authorities: X509Certificate[];
  let config: RequestHeaderConfig;
  let clientAuthorities: X509Certificate[];
  try {
    authorities = readCertificates(data['requestheader-client-ca-file'] ?? '');
    clientAuthorities = readCertificates(data['client-ca-file'] ?? '');
    config = {
      authorities,
      allowedNames: words(data, 'requestheader-allowed-names'),
      usernameHeaders: words(data, 'requestheader-username-headers').map(lower),
      groupHeaders: words(data, 'requestheader-group-headers').map(lower),
      extraPrefixes: words(data, 'requestheader-extra-headers-prefix').map(lower),
      uidHeaders: words(data, 'requestheader-uid-headers').map(lower),
    };
  } catch (error) {
    return { problem: `kube-apiserver's front-proxy settings cannot be read (${String(error)})` };
  }
  if (authorities.length === 0) {
    return { problem: 'kube-apiserver publishes no front-proxy CA: start it with --requestheader-client-ca-file' };
  }
  const isShared = authorities.some((authority) => clientAuthorities.some((other) => isSameKey(authority, other)));
  if (isShared && config.allowedNames.length === 0 && !allowSharedCa) {
    const how =
      'give it --requestheader-allowed-names or a CA of its own (or start us with --allow-shared-front-proxy-ca)';
    return {
      problem: `any client of the cluster could say it is anybody: kube-apiserver's front proxy has the clients' CA; ${how}`,
    };
  }
  return { config };
}

/** Whether one key signs for both: a certificate that was made again is the same authority. */
function isSameKey(one: X509Certificate, other: X509Certificate): boolean {
  return one.publicKey.equals(other.publicKey);
}

function words(data: Record<string, string>, key: string): string[] {
  const value: unknown = JSON.parse(data[key] ?? '[]');
  return Array.isArray(value) ? value.filter((word) => typeof word === 'string') : [];
}

const lower = (text: string): string => text.toLowerCase();
