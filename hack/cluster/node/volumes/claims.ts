import { type Change, Informer } from '../../../../apis/client/informer.ts';
import type { KubeClient } from '../../../../apis/client/transport.ts';
import { ApiError } from '../../../../apis/machinery/errors.ts';
import type { KubeObject } from '../../../../apis/machinery/meta.ts';
import type { Log } from '../../../../apis/runtime/log.ts';
import type { ResourceList } from '../api/pod.ts';

/** What is read here of core/v1 PersistentVolumeClaims. */
export interface Claim extends KubeObject {
  spec: {
    accessModes?: string[];
    resources?: { requests?: ResourceList };
    storageClassName?: string;
    volumeMode?: string;
    volumeName?: string;
  };
  status?: { phase?: 'Pending' | 'Bound' | 'Lost' };
}

/** What is read here of core/v1 PersistentVolumes. */
export interface PersistentVolume extends KubeObject {
  spec: {
    claimRef?: { namespace?: string; name?: string };
    hostPath?: { path: string };
    local?: { path: string };
    persistentVolumeReclaimPolicy?: string;
  };
  status?: { phase?: string };
}

/** What is read here of storage.k8s.io/v1 StorageClasses. */
export interface StorageClass extends KubeObject {
  provisioner: string;
  reclaimPolicy?: string;
  volumeBindingMode?: 'Immediate' | 'WaitForFirstConsumer';
}

/** All claims, volumes and storage classes of the cluster, as watches tell of them. */
export class ClaimTable {
  readonly #claims: Informer<Claim>;
  readonly #volumes: Informer<PersistentVolume>;
  readonly #classes: Informer<StorageClass>;

  constructor({ client, log }: { client: KubeClient; log: Log }) {
    const storage = '/apis/storage.k8s.io/v1/storageclasses';
    this.#claims = new Informer<Claim>({ client, log, path: '/api/v1/persistentvolumeclaims', keep: slim });
    this.#volumes = new Informer<PersistentVolume>({ client, log, path: '/api/v1/persistentvolumes', keep: slim });
    this.#classes = new Informer<StorageClass>({ client, log, path: storage, keep: slim });
  }

  /** Resolves once all that exists is known. */
  async start(): Promise<void> {
    const informers = [this.#claims, this.#volumes, this.#classes];
    for (const informer of informers) informer.start();
    await Promise.all(informers.map((informer) => informer.firstSync));
  }

  async stop(): Promise<void> {
    await Promise.all([this.#claims.stop(), this.#volumes.stop(), this.#classes.stop()]);
  }

  claim(namespace: string, name: string): Claim | undefined {
    return this.#claims.get(namespace, name);
  }

  storageClass(name: string): StorageClass | undefined {
    return this.#classes.get('', name);
  }

  onClaim(listener: (change: Change<Claim>) => void): () => void {
    return this.#claims.subscribe(listener);
  }

  onVolume(listener: (change: Change<PersistentVolume>) => void): () => void {
    return this.#volumes.subscribe(listener);
  }

  onStorageClass(listener: () => void): () => void {
    return this.#classes.subscribe(listener);
  }

  claims(): Iterable<Claim> {
    return this.#claims.values();
  }

  volumes(): Iterable<PersistentVolume> {
    return this.#volumes.values();
  }

  /**
   * The folder that a claim is bound to.
   * @throws ApiError in kubelet's words when there is none.
   */
  folderOf(namespace: string, name: string): string {
    const claim = this.claim(namespace, name);
    if (claim === undefined) throw new ApiError('NotFound', `persistentvolumeclaim "${name}" not found`);
    const { volumeName = '' } = claim.spec;
    if (claim.status?.phase !== 'Bound' || volumeName === '') throw new ApiError('Invalid', 'PVC is not bound');
    const volume = this.#volumes.get('', volumeName);
    const path = volume?.spec.hostPath?.path ?? volume?.spec.local?.path;
    if (path === undefined) {
      throw new ApiError('Invalid', `PersistentVolume ${volumeName} is no folder of this node (hostPath or local)`);
    }
    return path;
  }
}

function slim<T extends KubeObject>(object: T): T {
  delete object.metadata.managedFields;
  return object;
}
