/** The ways in which clients ask to have objects written. */
export const representations = {
  JSON: 'application/json',
  Table: 'application/json;as=Table;v=v1;g=meta.k8s.io',
  Partial: 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io',
  YAML: 'application/yaml',
} as const;

export type RepresentationName = keyof typeof representations;

/** As a list: metadata clients ask for its own kind. */
export function acceptOf(name: RepresentationName, target: 'single' | 'list'): string {
  return name === 'Partial' && target === 'list'
    ? 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io'
    : representations[name];
}
