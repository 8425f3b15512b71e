import { formatYaml } from '../../apis/machinery/yaml.ts';
import { isPretty, type Representation } from './negotiation.ts';

/** How an object is laid out as text; indented for people. */
export type Layout = 'YAML' | 'JSON' | 'indented JSON';

/** The layout in which a client wants an answer that is represented so. */
export function layoutFor(
  request: Parameters<typeof isPretty>[0],
  representation: Pick<Representation, 'mediaType' | 'pretty'>,
): Layout {
  if (representation.mediaType === 'application/yaml') return 'YAML';
  return isPretty(request, representation) ? 'indented JSON' : 'JSON';
}

/** Writes an object down; JSON that is not indented ends with a line feed, as kube-apiserver's does. */
export function objectText(object: unknown, layout: Layout): string {
  if (layout === 'YAML') return formatYaml(object);
  return layout === 'JSON' ? `${JSON.stringify(object)}\n` : JSON.stringify(object, undefined, 2);
}
