/**
 * Replaces `$(NAME)` by the variable's value and `$$` by `$`; names that `lookup` does not know stay as they are
 * (k8s.io/kubernetes/third_party/forked/golang/expansion).
 */
export function expand(text: string, lookup: (name: string) => string | undefined): string {
  return text.replace(/\$(?:\$|\(([^)]*)\))/g, (whole, name: string | undefined) =>
    name === undefined ? '$' : (lookup(name) ?? whole),
  );
}
