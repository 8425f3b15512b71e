/** Above so many characters in all, each warning is cut (k8s.io/apiserver/pkg/endpoints/filters/warning.go). */
const mostCharacters = 4 * 1024;
const longestWarning = 256;

/**
 * Values of `Warning` headers (RFC 7234 §5.5, as k8s.io/apimachinery/pkg/util/net writes them): each text once, none that has
 * control characters, all of them cut when they are long.
 */
export function warningTexts(texts: readonly string[]): string[] {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly these may not be in a header
  const unique = [...new Set(texts)].filter((text) => !/[\u0000-\u001f\u007f-\u009f]/.test(text));
  const total = unique.reduce((sum, text) => sum + [...text].length, 0);
  const shown = total <= mostCharacters ? unique : bounded(unique);
  // Header values are bytes: Node takes each character for one.
  return shown.map((text) => Buffer.from(`299 - "${text.replace(/[\\"]/g, '\\$&')}"`, 'utf8').toString('latin1'));
}

function bounded(texts: readonly string[]): string[] {
  const shown: string[] = [];
  let written = 0;
  for (const text of texts) {
    if (written >= mostCharacters) break;
    const cut = [...text].slice(0, longestWarning);
    shown.push(cut.join(''));
    written += cut.length;
  }
  return shown;
}
