import { Gauge, type Registry } from 'prom-client';

/** When each certificate ends that this process depends on, in milliseconds since the epoch; undefined until known. */
export type CertificateEnds = Readonly<Record<string, () => number | undefined>>;

/**
 * `sojourn_certificate_expiration_timestamp_seconds`: days left are `(… - time()) / 86400`. Of several authorities it is the
 * first to end.
 */
export function registerCertificateMetric(registry: Registry, ends: CertificateEnds): void {
  const gauge = new Gauge({
    name: 'sojourn_certificate_expiration_timestamp_seconds',
    help: 'When a certificate ends that this process serves with or trusts, as seconds since the epoch.',
    labelNames: ['certificate'],
    registers: [registry],
    collect: () => {
      gauge.reset();
      for (const [certificate, endOf] of Object.entries(ends)) {
        const end = endOf();
        if (end !== undefined) gauge.set({ certificate }, end / 1000);
      }
    },
  });
}

/** The first end among certificates, in milliseconds since the epoch; undefined when there are none. */
export function firstEnd(certificates: readonly { validTo: string }[] | undefined): number | undefined {
  if (certificates === undefined || certificates.length === 0) return undefined;
  return Math.min(...certificates.map(({ validTo }) => Date.parse(validTo)));
}
