import { readFile } from 'node:fs/promises';
import { KubeClient } from '../../apis/client/transport.ts';
import type { ControlPlane } from '../../hack/cluster/control-plane.ts';

const base64 = (text: string) => Buffer.from(text).toString('base64');

/** Where kube-apiserver tells itself, and others like it, how far etcd is compacted (k8s.io/apiserver, etcd3/compact.go). */
const compactRevisionKey = base64('compact_rev_key');

/**
 * Makes etcd forget every version before the present one, as kube-apiserver does every five minutes with what is older
 * than that. What kube-apiserver has in its own memory it forgets a quarter of a minute later, or when it is started again.
 */
export async function compactEtcd({ ports, pki }: ControlPlane): Promise<void> {
  const [ca, cert, key] = await Promise.all(
    [pki.etcdCa.cert, pki.etcdClient.cert, pki.etcdClient.key].map((path) => readFile(path, 'utf8')),
  );
  const etcd = new KubeClient({ server: `https://127.0.0.1:${ports.etcd}`, ca, cert, key });
  const call = async (path: string, body: object) =>
    await etcd.request<{ header: { revision: string } }>({ method: 'POST', path: `/v3/kv/${path}`, body });
  try {
    const { revision } = (await call('range', { key: compactRevisionKey })).header;
    await call('put', { key: compactRevisionKey, value: base64(revision) });
    await call('compaction', { revision, physical: true });
  } finally {
    await etcd.close();
  }
}
