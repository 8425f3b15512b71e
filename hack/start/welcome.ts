import { relative } from 'node:path';

/** The handful of commands to try, as they can be pasted into another shell. */
export function welcome(dir: string): string {
  const path = quoted(relative(process.cwd(), dir));
  return `In another shell:

  . ${path}/env                                        # KUBECONFIG, kubectl, SOJOURN_PROXY_URL, SOJOURN_CA
  NAME=$(kubectl create -f deploy/examples/session.yaml -o name | cut -d/ -f2)
  kubectl wait --for=condition=Ready session/$NAME
  kubectl get sessions -o wide
  kubectl create --raw /apis/sojourn.dev/v1alpha1/namespaces/default/sessions/$NAME/proxy/api/execute -f deploy/examples/execute.json
  kubectl get sandboxes,pods
  kubectl delete session $NAME

  npm run demo                                         # the whole story, on this cluster
  kubectl --kubeconfig ${path}/users/bob.kubeconfig …  # as somebody who may only look

KUBECONFIG is ${quoted(dir)}/kubeconfig
Ctrl-C stops everything; your sessions are found again by the next npm start.`;
}

/** A path as it can be pasted into a shell. */
function quoted(path: string): string {
  return /^[\w./-]*$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
