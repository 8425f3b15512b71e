/** Factors of a quantity's suffix (k8s.io/apimachinery/pkg/api/resource, Quantity). */
const factors: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};
const form = /^([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)([A-Za-z]*)$/;

/**
 * A quantity as a number of its base unit (bytes, cores), as exact as a double is.
 * @throws Error for text that kube-apiserver cannot have stored.
 */
export function quantityOf(text: string): number {
  const [, digits = '', suffix = ''] = form.exec(text) ?? [];
  const factor = factors[suffix];
  if (digits === '' || factor === undefined) throw new Error(`"${text}" is no quantity`);
  return Number(digits) * factor;
}
