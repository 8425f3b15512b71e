import type { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { KubeClient } from '../../apis/client/transport.ts';
import type { Log } from '../../apis/runtime/log.ts';
import { PublishedSettings, readCertificates } from './published-settings.ts';

/** How often a file is read again; k8s.io/apiserver looks at its CA files each minute too (DynamicFileCAContent). */
const rereadMs = 60_000;

/** The authorities whose clients' certificates count. */
export interface ClientAuthorities {
  /** The same array as long as nothing changed; empty when certificates are not accepted; undefined until known. */
  readonly current: readonly X509Certificate[] | undefined;
  start(): void;
  stop(): Promise<void>;
}

const none: readonly X509Certificate[] = [];

/** The authorities that kube-apiserver itself accepts clients of (its `--client-ca-file`), as it publishes them. */
export class PublishedClientAuthorities implements ClientAuthorities {
  readonly #settings: PublishedSettings<readonly X509Certificate[]>;

  constructor(client: KubeClient, log: Log) {
    let pem: string | undefined;
    let authorities: readonly X509Certificate[] | undefined;
    this.#settings = new PublishedSettings({
      client,
      log,
      read: (data) => {
        const text = data['client-ca-file'] ?? '';
        // The ConfigMap holds other settings too; their changes must not cost every connection its verdict.
        if (authorities !== undefined && text === pem) return authorities;
        authorities = parseAuthorities(text, log) ?? authorities;
        pem = text;
        return authorities;
      },
    });
  }

  get current(): readonly X509Certificate[] | undefined {
    // A kube-apiserver that authenticates no clients by certificate may have no such ConfigMap at all.
    return this.#settings.current ?? (this.#settings.synced ? none : undefined);
  }

  start(): void {
    this.#settings.start();
  }

  async stop(): Promise<void> {
    await this.#settings.stop();
  }
}

/** The authorities of a file, which is read again every minute. */
export class FileClientAuthorities implements ClientAuthorities {
  readonly #file: string;
  readonly #log: Log;
  #pem: string;
  #current: readonly X509Certificate[];
  #timer: NodeJS.Timeout | undefined;

  private constructor(file: string, pem: string, log: Log) {
    this.#file = file;
    this.#pem = pem;
    this.#log = log;
    this.#current = readAuthorities(file, pem);
  }

  /** @throws when the file cannot be read or holds no certificate. */
  static async open(file: string, log: Log): Promise<FileClientAuthorities> {
    return new FileClientAuthorities(file, await readFile(file, 'utf8'), log);
  }

  get current(): readonly X509Certificate[] {
    return this.#current;
  }

  start(): void {
    this.#timer = setInterval(() => void this.refresh(), rereadMs);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
  }

  /** Reads the file again; what cannot be used is logged, and the last good authorities stay. */
  async refresh(): Promise<void> {
    try {
      const pem = await readFile(this.#file, 'utf8');
      if (pem === this.#pem) return;
      this.#current = readAuthorities(this.#file, pem);
      this.#pem = pem;
    } catch (error) {
      this.#log.error('the client CA file cannot be used; its last good content stays in force', {
        file: this.#file,
        error,
      });
    }
  }
}

function readAuthorities(file: string, pem: string): readonly X509Certificate[] {
  const authorities = readCertificates(pem);
  if (authorities.length === 0) throw new Error(`${file} holds no PEM certificate: name a CA by --client-ca-file`);
  return authorities;
}

function parseAuthorities(pem: string, log: Log): readonly X509Certificate[] | undefined {
  try {
    return readCertificates(pem);
  } catch (error) {
    log.error('the client CA cannot be parsed; the last good one stays in force', { error });
    return undefined;
  }
}
