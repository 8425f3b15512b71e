import type { PodEvent } from '../api/events.ts';
import type { Container } from '../api/pod.ts';
import { type ImageMap, imageNameProblem, type LocalImage } from '../images.ts';
import { pause } from '../time.ts';
import { Backoff, type BackoffTimes } from './backoff.ts';

/** How long ErrImagePull stands at most before it reads ImagePullBackOff, so that both are seen, as with kubelet. */
const longestErrorMs = 1_000;

export interface ImagePullOptions {
  images: ImageMap;
  /** The container as it is now: another image may be given to it meanwhile. */
  spec: () => Container;
  times: BackoffTimes;
  /** Shown as the container's state. */
  wait: (reason: string, message: string) => void;
  event: (type: PodEvent['type'], reason: string, message: string) => void;
  signal: AbortSignal;
}

/**
 * Finds the image; as long as there is none, it fails again and again as kubelet does
 * (k8s.io/kubernetes/pkg/kubelet/images/image_manager.go). Undefined when stopped.
 */
export async function pullImage(options: ImagePullOptions): Promise<LocalImage | undefined> {
  const { images, signal } = options;
  const backoff = new Backoff('delayed', options.times);
  while (!signal.aborted) {
    const spec = options.spec();
    const { image = '' } = spec;
    const found = images(image, spec);
    if (found !== undefined) return found;
    const delayMs = backoff.next(Date.now());
    const wrong = imageNameProblem(image);
    if (wrong !== undefined) await fail(options, delayMs, invalidName(image, wrong));
    else if (spec.imagePullPolicy === 'Never') await fail(options, delayMs, neverPulled(image));
    else await failToPull(options, delayMs, image);
  }
  return undefined;
}

interface Failure {
  reason: string;
  message: string;
  eventReason: string;
}

function invalidName(image: string, problem: string): Failure {
  const message = `Failed to apply default image tag "${image}": ${problem}`;
  return { reason: 'InvalidImageName', message, eventReason: 'InspectFailed' };
}

function neverPulled(image: string): Failure {
  const message = `Container image "${image}" is not present with pull policy of Never`;
  return { reason: 'ErrImageNeverPull', message, eventReason: 'ErrImageNeverPull' };
}

async function fail(options: ImagePullOptions, delayMs: number, { reason, message, eventReason }: Failure) {
  options.event('Warning', eventReason, message);
  options.event('Warning', 'Failed', `Error: ${reason}`);
  options.wait(reason, message);
  await pause(delayMs, options.signal);
}

async function failToPull(options: ImagePullOptions, delayMs: number, image: string): Promise<void> {
  const { event, wait, signal } = options;
  const problem = `failed to resolve image "${image}": not one of the images of the local node`;
  event('Normal', 'Pulling', `Pulling image "${image}"`);
  event('Warning', 'Failed', `Failed to pull image "${image}": ${problem}`);
  event('Warning', 'Failed', 'Error: ErrImagePull');
  wait('ErrImagePull', problem);
  const errorMs = Math.min(longestErrorMs, delayMs / 2);
  await pause(errorMs, signal);
  if (signal.aborted) return;
  event('Normal', 'BackOff', `Back-off pulling image "${image}"`);
  event('Warning', 'Failed', 'Error: ImagePullBackOff');
  wait('ImagePullBackOff', `Back-off pulling image "${image}": ErrImagePull: ${problem}`);
  await pause(delayMs - errorMs, signal);
}
