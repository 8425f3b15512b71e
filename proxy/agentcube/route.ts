import { ApiError } from '../../apis/machinery/errors.ts';
import type { RuntimeKind } from '../../apis/v1alpha1/types.ts';
import { plainName } from '../route.ts';

/** A request line of AgentCube's Router. */
export interface RouterRoute {
  namespace: string;
  kind: RuntimeKind;
  /** Name of the runtime, as it is written. */
  runtime: string;
  /** Raw rest of the request line after `/invocations`, query included. */
  target: string;
}

/** AgentCube's path segment of each runtime kind. */
const kinds: Record<string, RuntimeKind> = { 'agent-runtimes': 'AgentRuntime', 'code-interpreters': 'CodeInterpreter' };

const pattern = /^\/v1\/namespaces\/([^/?]*)\/(agent-runtimes|code-interpreters)\/([^/?]*)\/invocations(?=[/?]|$)/;

const dnsSubdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const longestSubdomain = 253;

/**
 * Reads `/v1/namespaces/NS/{agent-runtimes|code-interpreters}/NAME/invocations[/...]` from a raw request line: once, for
 * authorisation and routing alike, without decoding anything. `…/invocations` alone asks the sandbox for `/`: AgentCube's
 * router redirects it to `…/invocations/`, and a client that does not follow redirects is served here all the same.
 * @returns undefined for every other path. Names are as they were written; see {@link checkRouterRoute}.
 */
export function matchRouterRoute(requestLine: string): RouterRoute | undefined {
  const [matched, namespace, segment, runtime] = pattern.exec(requestLine) ?? [];
  const kind = kinds[segment ?? ''];
  if (matched === undefined || namespace === undefined || runtime === undefined || kind === undefined) return undefined;
  return { namespace, kind, runtime, target: requestLine.slice(matched.length) };
}

/** The same route with its names proven to be plain ones. @throws ApiError BadRequest. */
export function checkRouterRoute(route: RouterRoute): RouterRoute {
  plainName('namespace', route.namespace);
  if (!isRuntimeName(route.runtime)) {
    throw new ApiError(
      'BadRequest',
      'the path has no valid runtime name; write it plainly, in lower case letters, digits, "-" and ".", without encoding',
    );
  }
  return route;
}

/** Whether a text is a name that a custom resource can have. */
export function isRuntimeName(text: string): boolean {
  return text.length <= longestSubdomain && dnsSubdomain.test(text);
}
