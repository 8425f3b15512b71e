import { daemonImage } from '../../../apis/names.ts';
import { daemonEnv } from '../../../apis/wire/daemon.ts';
import type { Container, Pod } from './api/pod.ts';

/** What stands for an image on this machine. */
export type LocalImage =
  | {
      kind: 'process';
      /** Stands for the image's ENTRYPOINT: the container's `command` replaces it, its `args` follow it. */
      command: readonly string[];
      /** Stands for the image's ENV. */
      env?: Readonly<Record<string, string>>;
      /** Variable that names the working directory, unless the container sets it. */
      workspaceVariable?: string;
    }
  | { kind: 'none' };

/** Finds what an image stands for; undefined when there is no such image here, which ends in ErrImagePull. */
export type ImageMap = (image: string, container: Container) => LocalImage | undefined;

/** The images of a local cluster. `daemon` is the command line that runs the daemon of this checkout. */
export function localImages(options: { daemon: readonly string[] }): ImageMap {
  const images = new Map<string, LocalImage>([
    [daemonImage, { kind: 'process', command: options.daemon, workspaceVariable: daemonEnv.workspace }],
    ['local/process', { kind: 'process', command: [] }],
    ['local/none', { kind: 'none' }],
  ]);
  return (image) => images.get(repositoryOf(image));
}

/** An image reference without tag and digest (distribution/reference, grammar). */
export function repositoryOf(image: string): string {
  const [name = ''] = image.split('@');
  // A colon before the last slash belongs to a registry's port.
  const tag = name.indexOf(':', name.lastIndexOf('/') + 1);
  return tag === -1 ? name : name.slice(0, tag);
}

/** Whether a Pod may ever have a process of its own. */
export function hasProcess(pod: Pod, images: ImageMap): boolean {
  const containers = [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
  return containers.some((container) => images(container.image ?? '', container)?.kind !== 'none');
}
