/** Who a request comes from, as authentication.k8s.io/v1 UserInfo has it. */
export interface UserInfo {
  username: string;
  uid?: string;
  groups: string[];
  extra?: Record<string, string[]>;
}
