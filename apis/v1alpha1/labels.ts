import { userLabelDomain } from '../names.ts';

/**
 * A user's labels live on the Sandbox under a domain of ours, where kube-apiserver can select on them:
 * `app` as `u.sojourn.dev/app`, `foo.com/bar` as `foo.com.u.sojourn.dev/bar`.
 */
export function toSandboxLabelKey(key: string): string {
  const slash = key.indexOf('/');
  return slash === -1
    ? `${userLabelDomain}/${key}`
    : `${key.slice(0, slash)}.${userLabelDomain}/${key.slice(slash + 1)}`;
}

/** The user's key behind a mirrored one; undefined for any other label of the Sandbox. */
export function fromSandboxLabelKey(key: string): string | undefined {
  const slash = key.indexOf('/');
  if (slash === -1) return undefined;
  const domain = key.slice(0, slash);
  const name = key.slice(slash + 1);
  if (domain === userLabelDomain) return name;
  const suffix = `.${userLabelDomain}`;
  return domain.endsWith(suffix) ? `${domain.slice(0, -suffix.length)}/${name}` : undefined;
}

/** A user's labels as the Sandbox carries them. */
export function toSandboxLabels(labels: Readonly<Record<string, string>> | undefined): Record<string, string> {
  return Object.fromEntries(Object.entries(labels ?? {}).map(([key, value]) => [toSandboxLabelKey(key), value]));
}

/** The user's labels among those of a Sandbox; undefined when there are none. */
export function fromSandboxLabels(
  labels: Readonly<Record<string, string>> | undefined,
): Record<string, string> | undefined {
  const own: [string, string][] = [];
  for (const [key, value] of Object.entries(labels ?? {})) {
    const user = fromSandboxLabelKey(key);
    if (user !== undefined) own.push([user, value]);
  }
  return own.length === 0 ? undefined : Object.fromEntries(own);
}
