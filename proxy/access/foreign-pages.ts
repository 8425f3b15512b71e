import { ApiError } from '../../apis/machinery/errors.ts';

/** A loopback address, or a name of one label or under `localhost`: none of them is a name that a site of the web can have. */
const localHost = /^(?:[a-z0-9_-]+|(?:[a-z0-9_-]+\.)+localhost|127(?:\.\d{1,3}){3}|\[::1\])$/i;

/**
 * Refuses what a page of the web makes a browser on this machine send: where no credentials are asked for, a loopback
 * address alone does not keep such pages out. Browsers name the page's site in `Origin`, and tell in `Sec-Fetch-Site`
 * (W3C Fetch Metadata) whether it is another one; a site that lets its name resolve to 127.0.0.1 (DNS rebinding) is
 * known by its name in `Host`.
 * @param rawHeaders pairs of name and value.
 * @throws ApiError Forbidden.
 */
export function refuseForeignPages(rawHeaders: readonly string[]): void {
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]?.toLowerCase() ?? '';
    if (isForeign(name, rawHeaders[i + 1] ?? '')) {
      const why = `--auth=none serves programs of this machine and no pages of the web (${name})`;
      throw new ApiError('Forbidden', `${why}; use --auth=tokenreview and a token`);
    }
  }
}

function isForeign(name: string, value: string): boolean {
  if (name === 'host' || name === ':authority') return !localHost.test(withoutPort(value));
  if (name === 'origin') return !localHost.test(withoutPort(/^https?:\/\/(.+)$/.exec(value)?.[1] ?? ''));
  return name === 'sec-fetch-site' && value === 'cross-site';
}

function withoutPort(authority: string): string {
  return authority.replace(/:\d+$/, '');
}
