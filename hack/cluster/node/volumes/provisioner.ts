import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { KubeClient } from '../../../../apis/client/transport.ts';
import { hasReason } from '../../../../apis/machinery/errors.ts';
import type { Log } from '../../../../apis/runtime/log.ts';
import { WriteQueue } from '../api/write-queue.ts';
import type { Claim, ClaimTable, PersistentVolume } from './claims.ts';

/** Provisioner of the storage class in manifests/local-storage.yaml. */
export const provisionerName = 'sojourn.dev/local-node';
/** The scheduler's choice for a claim whose class waits for its first consumer. */
export const selectedNodeAnnotation = 'volume.kubernetes.io/selected-node';
/** kube-controller-manager asks the provisioner that it names here. */
const provisionerAnnotation = 'volume.kubernetes.io/storage-provisioner';
const provisionedByAnnotation = 'pv.kubernetes.io/provisioned-by';

const width = 8;
const volumeFolder = /^pvc-[0-9a-f-]+$/;

export interface ProvisionerOptions {
  client: KubeClient;
  claims: ClaimTable;
  nodeName: string;
  /** Folder of the volumes' folders. */
  dir: string;
  log: Log;
}

/**
 * Gives each claim of the local storage class a folder of its own, which goes when its volume is released. It keeps to
 * the protocol of external provisioners (sigs.k8s.io/sig-storage-lib-external-provisioner): binding and protection
 * from deletion while a Pod uses the claim are kube-controller-manager's.
 */
export class Provisioner {
  readonly #options: ProvisionerOptions;
  readonly #writes: WriteQueue;
  readonly #ends: (() => void)[] = [];

  constructor(options: ProvisionerOptions) {
    this.#options = options;
    this.#writes = new WriteQueue({ width, log: options.log });
  }

  /** Begins; the claims must be known already. Folders without a volume are removed. */
  async start(): Promise<void> {
    const { claims, dir } = this.#options;
    await mkdir(dir, { recursive: true });
    const known = new Set([...claims.volumes()].map(({ metadata }) => metadata.name));
    for (const name of await readdir(dir)) {
      if (volumeFolder.test(name) && !known.has(name)) await this.#remove(name);
    }
    this.#ends.push(claims.onClaim(({ current }) => this.#considerClaim(current)));
    this.#ends.push(claims.onVolume(({ current }) => this.#considerVolume(current)));
    for (const claim of claims.claims()) this.#considerClaim(claim);
    for (const volume of claims.volumes()) this.#considerVolume(volume);
  }

  async stop(): Promise<void> {
    for (const end of this.#ends.splice(0)) end();
    await this.#writes.stop();
  }

  #considerClaim(claim: Claim | undefined): void {
    if (claim === undefined || claim.metadata.deletionTimestamp !== undefined) return;
    const { annotations = {} } = claim.metadata;
    if (annotations[provisionerAnnotation] !== provisionerName) return;
    if ((claim.spec.volumeName ?? '') !== '' || claim.spec.volumeMode === 'Block') return;
    const { storageClassName = '' } = claim.spec;
    const storageClass = this.#options.claims.storageClass(storageClassName);
    const chosen = annotations[selectedNodeAnnotation];
    if (storageClass?.volumeBindingMode === 'WaitForFirstConsumer' && chosen !== this.#options.nodeName) return;
    const reclaimPolicy = storageClass?.reclaimPolicy ?? 'Delete';
    this.#writes.put(`claims/${claim.metadata.uid}`, (signal) => this.#provision(claim, reclaimPolicy, signal));
  }

  #considerVolume(volume: PersistentVolume | undefined): void {
    if (volume === undefined || volume.metadata.deletionTimestamp !== undefined) return;
    if (volume.metadata.annotations?.[provisionedByAnnotation] !== provisionerName) return;
    if (volume.status?.phase !== 'Released' || volume.spec.persistentVolumeReclaimPolicy !== 'Delete') return;
    const { name = '' } = volume.metadata;
    this.#writes.put(`volumes/${name}`, (signal) => this.#release(name, signal));
  }

  async #provision(claim: Claim, reclaimPolicy: string, signal: AbortSignal): Promise<void> {
    const { client, dir, nodeName } = this.#options;
    const { namespace, name, uid = '' } = claim.metadata;
    const volume = `pvc-${uid}`;
    const path = join(dir, volume);
    await mkdir(path, { recursive: true });
    const hostname = { key: 'kubernetes.io/hostname', operator: 'In', values: [nodeName] };
    const body = {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: volume, annotations: { [provisionedByAnnotation]: provisionerName } },
      spec: {
        accessModes: claim.spec.accessModes ?? ['ReadWriteOnce'],
        capacity: { storage: claim.spec.resources?.requests?.storage ?? '0' },
        claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name, uid },
        hostPath: { path, type: 'DirectoryOrCreate' },
        nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [hostname] }] } },
        persistentVolumeReclaimPolicy: reclaimPolicy,
        storageClassName: claim.spec.storageClassName,
        volumeMode: 'Filesystem',
      },
    };
    try {
      await client.request({ method: 'POST', path: '/api/v1/persistentvolumes', signal, body });
    } catch (error) {
      if (!hasReason(error, 'AlreadyExists')) throw error;
    }
  }

  async #release(name: string, signal: AbortSignal): Promise<void> {
    await this.#remove(name);
    try {
      const path = `/api/v1/persistentvolumes/${encodeURIComponent(name)}`;
      await this.#options.client.request({ method: 'DELETE', path, signal });
    } catch (error) {
      if (!hasReason(error, 'NotFound')) throw error;
    }
  }

  async #remove(name: string): Promise<void> {
    if (!volumeFolder.test(name)) return;
    await rm(join(this.#options.dir, name), { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  }
}
