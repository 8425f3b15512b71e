/** Quantities of Kubernetes (k8s.io/apimachinery/pkg/api/resource/quantity.go): "100m", "0.1", "1Gi", "1024Mi", "1e3". */

const form = /^([+-]?)(\d+\.?\d*|\.\d+)(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|[eE][+-]?\d{1,3})?$/;
const decimal: Record<string, number> = { n: -9, u: -6, m: -3, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 };
const binary = ['Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];
/** The least that a quantity can tell apart: what is smaller is rounded up, as Kubernetes does. */
const smallestPower = -9;
/** No quantity that means anything is written longer. */
const longestText = 64;

/** A quantity in billionths, so that equal ones are equal however they are written; undefined for what is none. */
export function parseQuantity(text: string): bigint | undefined {
  if (text.length > longestText) return undefined;
  const [, sign, number = '', suffix = ''] = form.exec(text) ?? [];
  if (sign === undefined) return undefined;
  const [whole = '', fraction = ''] = number.split('.');
  const digits = BigInt(whole + fraction) * 1024n ** BigInt(binary.indexOf(suffix) + 1);
  const power = powerOf(suffix) - fraction.length - smallestPower;
  const nano = power >= 0 ? digits * 10n ** BigInt(power) : ceiling(digits, 10n ** BigInt(-power));
  return sign === '-' ? -nano : nano;
}

function powerOf(suffix: string): number {
  return decimal[suffix] ?? (/^[eE]/.test(suffix) ? Number(suffix.slice(1)) : 0);
}

function ceiling(a: bigint, b: bigint): bigint {
  return (a + b - 1n) / b;
}
