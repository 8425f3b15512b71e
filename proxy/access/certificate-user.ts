import type { X509Certificate } from 'node:crypto';
import { subjectValues } from './client-certificate.ts';
import type { UserInfo } from './user.ts';

/**
 * Who a verified client certificate names: its common name, with its organizations as groups, as kube-apiserver reads it
 * (k8s.io/apiserver/pkg/authentication/request/x509, CommonNameUserConversion, and authentication/group for
 * `system:authenticated`). Undefined when it names nobody. Of two common names kube-apiserver takes the last one; here
 * such a certificate counts for nothing, because nobody could say which of them its issuer looked at.
 */
export function certificateUser(certificate: X509Certificate): UserInfo | undefined {
  const [username, ...more] = subjectValues(certificate, 'CN');
  if (username === undefined || username === '' || more.length > 0) return undefined;
  const groups = subjectValues(certificate, 'O');
  const fingerprint = certificate.fingerprint256.replaceAll(':', '').toLowerCase();
  return {
    username,
    groups: groups.includes('system:authenticated') ? groups : [...groups, 'system:authenticated'],
    extra: { 'authentication.kubernetes.io/credential-id': [`X509SHA256=${fingerprint}`] },
  };
}
