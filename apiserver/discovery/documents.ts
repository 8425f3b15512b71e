import { createHash } from 'node:crypto';
import { group, groupVersion, kind, resource, version } from '../../apis/names.ts';
import type { Verb } from '../http/request-info.ts';

/** Media type of aggregated discovery (KEP-3352); kube-apiserver falls back to the old one if it does not match. */
export const aggregatedDiscoveryType = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';

/** What sessions can be asked; the namespace, quota and garbage collection controllers act on this list. */
const servedVerbs: readonly Verb[] = [
  'create',
  'delete',
  'deletecollection',
  'get',
  'list',
  'patch',
  'update',
  'watch',
];
/** A connect subresource is discovered by the verbs its methods are authorised as. */
const connectVerbs: readonly Verb[] = ['create', 'delete', 'get', 'patch', 'update'];

const names = { singular: 'session', shortNames: ['sess'], categories: ['all'] } as const;
const proxyKind = 'SessionProxyOptions';

/** `/apis` in aggregated form. */
export function aggregatedDiscovery(): { bytes: Buffer; etag: string } {
  const responseKind = (name: string) => ({ group, version, kind: name });
  const document = {
    kind: 'APIGroupDiscoveryList',
    apiVersion: 'apidiscovery.k8s.io/v2',
    metadata: {},
    items: [
      {
        metadata: { name: group, creationTimestamp: null },
        versions: [
          {
            version,
            freshness: 'Current',
            resources: [
              {
                resource,
                responseKind: responseKind(kind),
                scope: 'Namespaced',
                singularResource: names.singular,
                verbs: servedVerbs,
                shortNames: names.shortNames,
                categories: names.categories,
                subresources: [{ subresource: 'proxy', responseKind: responseKind(proxyKind), verbs: connectVerbs }],
              },
            ],
          },
        ],
      },
    ],
  };
  const bytes = Buffer.from(`${JSON.stringify(document)}\n`);
  return { bytes, etag: createHash('sha512').update(bytes).digest('hex').toUpperCase() };
}

const groupVersions = { groupVersion, version };
const apiGroup = { name: group, versions: [groupVersions], preferredVersion: groupVersions };

/** `/apis` in the old form. */
export const apiGroupList = { kind: 'APIGroupList', apiVersion: 'v1', groups: [apiGroup] };

/** `/apis/sojourn.dev`. */
export const apiGroupDocument = { kind: 'APIGroup', apiVersion: 'v1', ...apiGroup };

/** `/apis/sojourn.dev/v1alpha1`: also what kube-apiserver probes to see whether we are available. */
export const apiResourceList = {
  kind: 'APIResourceList',
  apiVersion: 'v1',
  groupVersion,
  resources: [
    {
      name: resource,
      singularName: names.singular,
      namespaced: true,
      kind,
      verbs: servedVerbs,
      shortNames: names.shortNames,
      categories: names.categories,
    },
    { name: `${resource}/proxy`, singularName: '', namespaced: true, kind: proxyKind, verbs: connectVerbs },
  ],
};
