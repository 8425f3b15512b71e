/** Who a request comes from, as authentication.k8s.io/v1 UserInfo has it. */
export interface UserInfo {
  username: string;
  uid?: string;
  groups: string[];
  extra?: Record<string, string[]>;
}

/** Whom kube-apiserver takes for the caller when nobody knows. */
export const anonymous: UserInfo = { username: 'system:anonymous', groups: ['system:unauthenticated'] };
