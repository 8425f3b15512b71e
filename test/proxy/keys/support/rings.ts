import { createLog } from '../../../../apis/runtime/log.ts';
import { KeyRing } from '../../../../proxy/invocation/keys/key-ring.ts';
import type { TestControlPlane } from '../../../support/control-plane.ts';
import { until } from '../../../support/until.ts';
import type { Cleanup } from '../../support/cleanup.ts';

export const hourMs = 3_600_000;
export const times = { rotateAfterMs: 24 * hourMs, announceMs: 60_000 };

export interface KeyDocument {
  version: number;
  keys: { kid: string; notBefore: string; privateJwk: object }[];
}

interface Secret {
  metadata: { uid: string; resourceVersion: string; annotations?: Record<string, string> };
  data: Record<string, string>;
}

/** The key Secrets of one namespace, as an operator sees them. */
export class KeySecrets {
  readonly #plane: TestControlPlane;
  readonly #namespace: () => string;

  constructor(plane: TestControlPlane, namespace: () => string) {
    this.#plane = plane;
    this.#namespace = namespace;
  }

  async read(name: string): Promise<KeyDocument> {
    return documentOf(await this.#plane.client.request<Secret>({ path: this.#path(name) }));
  }

  /** Changes what a Secret holds, decided anew when a process has changed it in between. */
  async edit(name: string, change: (document: KeyDocument) => unknown): Promise<void> {
    const path = this.#path(name);
    await until(`the Secret ${name} to be edited`, async () => {
      const secret = await this.#plane.client.request<Secret>({ path });
      const data = { 'keys.json': Buffer.from(JSON.stringify(change(documentOf(secret)))).toString('base64') };
      const answer = await this.#plane.client.requestRaw({ method: 'PUT', path, body: { ...secret, data } });
      if (answer.status !== 200 && answer.status !== 409) throw new Error(answer.body.toString());
      return answer.status === 200;
    });
  }

  /** A change that has nothing to do with the keys. */
  async touch(name: string): Promise<void> {
    await this.#plane.client.request({
      method: 'PATCH',
      path: this.#path(name),
      contentType: 'application/merge-patch+json',
      body: { metadata: { labels: { touched: 'yes' } } },
    });
  }

  async delete(name: string): Promise<void> {
    await this.#plane.client.request({ method: 'DELETE', path: this.#path(name) });
  }

  /** As the documented command does. */
  async askForRotation(name: string): Promise<void> {
    const { code, stderr } = await this.#plane.kubectl([
      ...['annotate', 'secret', name, '-n', this.#namespace()],
      'sojourn.dev/rotate=now',
    ]);
    if (code !== 0) throw new Error(stderr);
  }

  async annotations(name: string): Promise<Record<string, string>> {
    const { metadata } = await this.#plane.client.request<Secret>({ path: this.#path(name) });
    return metadata.annotations ?? {};
  }

  /** The version and kids of a Secret, as soon as they fit. */
  async until(name: string, fits: (document: KeyDocument) => boolean): Promise<KeyDocument> {
    let seen: KeyDocument | undefined;
    await until(
      `the Secret ${name}`,
      async () => {
        if ((await this.#plane.client.requestRaw({ path: this.#path(name) })).status !== 200) return false;
        seen = await this.read(name);
        return fits(seen);
      },
      { seen: () => seen?.keys.map(({ kid, notBefore }) => [seen?.version, kid, notBefore]) },
    );
    if (seen === undefined) throw new Error('until gave nothing');
    return seen;
  }

  #path(name: string): string {
    return `/api/v1/namespaces/${this.#namespace()}/secrets/${name}`;
  }
}

function documentOf({ data }: Secret): KeyDocument {
  return JSON.parse(Buffer.from(data['keys.json'] ?? '', 'base64').toString()) as KeyDocument;
}

/** Key rings of one namespace, each as a process of its own would have it. */
export class TestRings {
  readonly lines: string[] = [];
  readonly #plane: TestControlPlane;
  readonly #namespace: () => string;
  readonly #cleanup: Cleanup;

  constructor(plane: TestControlPlane, namespace: () => string, cleanup: Cleanup) {
    this.#plane = plane;
    this.#namespace = namespace;
    this.#cleanup = cleanup;
  }

  start(now: () => number = Date.now): KeyRing {
    const log = createLog({ level: 'debug', write: (line) => this.lines.push(line) });
    const keys = new KeyRing({ client: this.#plane.client, namespace: this.#namespace(), log, now, times });
    keys.start();
    return this.#cleanup.add(keys);
  }

  async startLoaded(now?: () => number): Promise<KeyRing> {
    const keys = this.start(now);
    await until('the keys', () => keys.probe.check() === undefined, { seen: () => keys.probe.check() });
    return keys;
  }
}
