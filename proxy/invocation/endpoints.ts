import type { Endpoint } from '../../apis/v1alpha1/types.ts';

/**
 * The endpoint that a path goes to: the longest pathPrefix that ends at a segment of the path, else the first endpoint,
 * as AgentCube's router has it. The prefix stays on the path.
 * @param path raw path, with its query.
 * @returns undefined when there are no endpoints at all.
 */
export function chooseEndpoint(endpoints: readonly Endpoint[], path: string): Endpoint | undefined {
  const question = path.indexOf('?');
  const plain = question === -1 ? path : path.slice(0, question);
  let best: Endpoint | undefined;
  let bestLength = -1;
  for (const endpoint of endpoints) {
    const prefix = normalizePrefix(endpoint.pathPrefix);
    if (prefix.length > bestLength && hasPrefix(plain, prefix)) {
      best = endpoint;
      bestLength = prefix.length;
    }
  }
  return best ?? endpoints[0];
}

function normalizePrefix(prefix: string): string {
  const bare = prefix.replace(/\/+$/, '');
  return bare === '' || bare.startsWith('/') ? bare : `/${bare}`;
}

function hasPrefix(path: string, prefix: string): boolean {
  return path.startsWith(prefix) && (path.length === prefix.length || path[prefix.length] === '/');
}
