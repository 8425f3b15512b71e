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

/** Follows kube-apiserver's front-proxy settings. */
export class RequestHeaderConfigSource extends PublishedSettings<RequestHeaderConfig> {
  constructor(client: KubeClient, log: Log) {
    super({ client, log, read: (data) => readConfig(data, log) });
  }
}

function readConfig(data: Record<string, string>, log: Log): RequestHeaderConfig | undefined {
  try {
    const authorities = readCertificates(data['requestheader-client-ca-file'] ?? '');
    if (authorities.length === 0) {
      log.error('kube-apiserver publishes no front-proxy CA: start it with --requestheader-client-ca-file');
      return undefined;
    }
    const allowedNames = words(data, 'requestheader-allowed-names');
    if (allowedNames.length === 0)
      log.warn('kube-apiserver allows any client of its front-proxy CA to introduce users');
    return {
      authorities,
      allowedNames,
      usernameHeaders: words(data, 'requestheader-username-headers').map(lower),
      groupHeaders: words(data, 'requestheader-group-headers').map(lower),
      extraPrefixes: words(data, 'requestheader-extra-headers-prefix').map(lower),
      uidHeaders: words(data, 'requestheader-uid-headers').map(lower),
    };
  } catch (error) {
    log.error('the front-proxy settings cannot be read; the last good ones stay in force', { error });
    return undefined;
  }
}

function words(data: Record<string, string>, key: string): string[] {
  const value: unknown = JSON.parse(data[key] ?? '[]');
  return Array.isArray(value) ? value.filter((word) => typeof word === 'string') : [];
}

const lower = (text: string): string => text.toLowerCase();
