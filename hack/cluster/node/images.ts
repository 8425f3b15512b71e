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
      /** Stands for the image's WORKDIR. */
      workingDir?: string;
      /** Variable that names the working directory, unless the container sets it. */
      workspaceVariable?: string;
    }
  | { kind: 'none' };

/** Finds what an image stands for; undefined when there is no such image here, which ends in ErrImagePull. */
export type ImageMap = (image: string, container: Container) => LocalImage | undefined;

/** The images of a local cluster. `daemon` is the command line that runs the daemon of this checkout. */
export function localImages(options: { daemon: readonly string[] }): ImageMap {
  const images = new Map<string, LocalImage>([
    [
      daemonImage,
      {
        kind: 'process',
        command: options.daemon,
        workingDir: '/workspace',
        workspaceVariable: daemonEnv.workspace,
      },
    ],
    ['local/process', { kind: 'process', command: [] }],
    ['local/none', { kind: 'none' }],
  ]);
  return (image) => images.get(repositoryOf(image));
}

/** distribution/reference, regexp.go: host and port, path components, tag, digest. */
const component = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const label = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])';
const host = `(?:${label}(?:\\.${label})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?`;
const digest = '[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}';
const reference = new RegExp(`^(?:${host}/)?${component}(?:/${component})*(?::\\w[\\w.-]{0,127})?(?:@${digest})?$`);

/** Why an image reference is none (distribution/reference, ParseNormalizedNamed); undefined when it is one. */
export function imageNameProblem(image: string): string | undefined {
  if (reference.test(image)) return undefined;
  const lower = reference.test(image.toLowerCase());
  const name = image.includes('/') ? repositoryOf(image) : `library/${repositoryOf(image)}`;
  const why = lower ? `: repository name (${name}) must be lowercase` : '';
  return `couldn't parse image name "${image}": invalid reference format${why}`;
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
