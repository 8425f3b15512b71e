import { readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { groupVersion } from '../../apis/names.ts';
import { SetupError } from '../kube/setup-error.ts';
import type { ControlPlane } from './control-plane.ts';
import { writeFileAtomically } from './files.ts';

const overlay = fileURLToPath(new URL('../../deploy/overlays/local', import.meta.url));

const documentDeadlineMs = 30_000;

/** One document of the release, as kustomize wrote it. */
interface Manifest {
  kind: string;
  name: string;
  text: string;
}

/** The manifests of the release as the local cluster runs them: all but the APIService first. */
export interface LocalRelease {
  /** CRDs, accounts, RBAC, the guard and flow control. */
  prerequisites: Manifest[];
  apiService: Manifest;
}

/** Builds deploy/overlays/local with the port and CA that only this cluster knows. */
export async function renderRelease(plane: ControlPlane, apiserverPort: number): Promise<LocalRelease> {
  const dir = join(plane.dir, 'deploy');
  const caBundle = (await readFile(plane.pki.ca.cert)).toString('base64');
  const kustomization = {
    apiVersion: 'kustomize.config.k8s.io/v1beta1',
    kind: 'Kustomization',
    resources: [relative(dir, overlay)],
    patches: [
      {
        target: { kind: 'APIService' },
        patch: JSON.stringify([
          { op: 'replace', path: '/spec/service/port', value: apiserverPort },
          { op: 'add', path: '/spec/caBundle', value: caBundle },
        ]),
      },
    ],
  };
  await writeFileAtomically(join(dir, 'kustomization.yaml'), JSON.stringify(kustomization, undefined, 2));
  const rendered = await run(plane, ['kustomize', dir]);
  const manifests = rendered.split(/^---$/m).map(readManifest);
  const apiService = manifests.find(({ kind }) => kind === 'APIService');
  if (apiService === undefined) throw new Error('deploy/base has no APIService');
  return { prerequisites: manifests.filter((manifest) => manifest !== apiService), apiService };
}

/** kustomize writes block style with top-level keys at the start of their lines, so kind and name can be read from it. */
function readManifest(text: string): Manifest {
  const kind = /^kind: (\S+)$/m.exec(text)?.[1];
  const name = /^metadata:\n(?: {2}.*\n)*? {2}name: (\S+)$/m.exec(text)?.[1];
  if (kind === undefined || name === undefined)
    throw new Error(`kustomize wrote a document without kind or name:\n${text}`);
  return { kind, name, text };
}

/** Applies manifests and waits until the CRDs among them are served. */
export async function applyRelease(plane: ControlPlane, manifests: readonly Manifest[]): Promise<void> {
  const stdin = manifests.map(({ text }) => text).join('\n---\n');
  await run(plane, ['apply', '--server-side', '--force-conflicts', '-f', '-'], stdin);
  const crds = manifests.filter(({ kind }) => kind === 'CustomResourceDefinition');
  if (crds.length === 0) return;
  const names = crds.map(({ name }) => `customresourcedefinition/${name}`);
  await run(plane, ['wait', '--for=condition=Established', '--timeout=30s', ...names]);
}

/**
 * Registers the API server, which must answer by now, and waits until kube-apiserver has found it available and kubectl
 * can explain its resources. The annotation makes each start a change: kube-apiserver looks again at once instead of at
 * its next turn.
 */
export async function registerApiService(plane: ControlPlane, apiService: Manifest): Promise<void> {
  await applyRelease(plane, [apiService]);
  const target = `apiservice/${apiService.name}`;
  await run(plane, ['annotate', '--overwrite', target, `local.sojourn.dev/started=${new Date().toISOString()}`]);
  await run(plane, ['wait', '--for=condition=Available', '--timeout=60s', target]);
  const deadline = Date.now() + documentDeadlineMs;
  // kube-apiserver merges our documents into its index a moment later, and has no condition that says so.
  while (!(await run(plane, ['get', '--raw', '/openapi/v3'])).includes(`"apis/${groupVersion}"`)) {
    if (Date.now() > deadline)
      throw new SetupError(`kube-apiserver has not taken over the OpenAPI document of ${groupVersion}.`);
    await delay(100);
  }
}

async function run(plane: ControlPlane, args: string[], stdin?: string): Promise<string> {
  const result = await plane.kubectl(args, stdin === undefined ? {} : { stdin });
  if (result.code === 0) return result.stdout;
  throw new SetupError(`kubectl ${args[0]} failed while Sojourn was set up: ${result.stderr.trimEnd()}`);
}
