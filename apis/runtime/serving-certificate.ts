import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Log } from './log.ts';
import { UsageError } from './options.ts';

/** How often the files are read again: soon enough for whoever replaced a certificate that is about to end. */
const rereadMs = 5_000;

/** A certificate with its chain and its key, PEM. */
export interface CertificatePair {
  cert: Buffer;
  key: Buffer;
}

export interface ServingCertificateOptions {
  certFile: string;
  keyFile: string;
  log: Log;
}

/**
 * The certificate that a server serves with, followed in its files: whoever renews it (cert-manager, a Secret's volume) need
 * not restart anything. What cannot be used, as a certificate whose key is not written yet, is logged, and the last good
 * pair stays.
 */
export class ServingCertificate {
  readonly #options: ServingCertificateOptions;
  #pair: CertificatePair;
  #certificate: X509Certificate;
  #timer: NodeJS.Timeout | undefined;
  #onChange: ((pair: CertificatePair) => void) | undefined;
  /** Logged once, and not again every few seconds. */
  #complaint: string | undefined;

  private constructor(options: ServingCertificateOptions, pair: CertificatePair) {
    this.#options = options;
    this.#pair = pair;
    this.#certificate = parse(pair);
  }

  /** @throws UsageError when the files cannot be read, or hold no certificate with its key. */
  static async open(options: ServingCertificateOptions): Promise<ServingCertificate> {
    try {
      return new ServingCertificate(options, await readPair(options));
    } catch (error) {
      const { certFile, keyFile } = options;
      const why = error instanceof Error ? error.message : String(error);
      throw new UsageError(`--tls-cert-file ${certFile} and --tls-private-key-file ${keyFile} cannot be used: ${why}`);
    }
  }

  get pair(): CertificatePair {
    return this.#pair;
  }

  /** When the certificate ends, in milliseconds since the epoch. */
  get expiresAt(): number {
    return Date.parse(this.#certificate.validTo);
  }

  /** Follows the files; `onChange` gets every new pair, and whatever it throws says that the pair cannot be used. */
  start(onChange: (pair: CertificatePair) => void): void {
    this.#onChange = onChange;
    this.#timer = setInterval(() => void this.refresh(), rereadMs);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Reads the files now. */
  async refresh(): Promise<void> {
    const { certFile, log } = this.#options;
    try {
      const pair = await readPair(this.#options);
      if (!pair.cert.equals(this.#pair.cert) || !pair.key.equals(this.#pair.key)) {
        const certificate = parse(pair);
        // Refused when anything is wrong behind the first certificate of the chain.
        this.#onChange?.(pair);
        this.#certificate = certificate;
        this.#pair = pair;
        log.info('serving with a new certificate', { file: certFile, notAfter: certificate.validTo });
      }
      this.#complaint = undefined;
    } catch (error) {
      const complaint = String(error);
      if (complaint === this.#complaint) return;
      this.#complaint = complaint;
      log.error('the serving certificate cannot be used; the last good one stays', { file: certFile, error });
    }
  }
}

async function readPair({ certFile, keyFile }: ServingCertificateOptions): Promise<CertificatePair> {
  const [cert, key] = await Promise.all([readFile(certFile), readFile(keyFile)]);
  return { cert, key };
}

/** @throws when the key is not the certificate's. */
function parse({ cert, key }: CertificatePair): X509Certificate {
  const certificate = new X509Certificate(cert);
  if (!certificate.checkPrivateKey(createPrivateKey(key))) throw new Error('the private key is not the certificate’s');
  return certificate;
}
