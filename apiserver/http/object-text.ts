import { Slices } from '../../apis/client/slices.ts';
import { formatYaml } from '../../apis/machinery/yaml.ts';
import { isPretty, type Representation } from './negotiation.ts';

/** How an object is laid out as text; indented for people. */
export type Layout = 'YAML' | 'JSON' | 'indented JSON';

/** From so many elements on, a list is written down piece by piece. */
const longList = 200;

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

/** The same as UTF-8. Others have their turn while a long list is written: one of thousands takes a tenth of a second. */
export async function objectBytes(object: object, layout: Layout): Promise<Buffer> {
  const members = Object.entries(object);
  const [name, list] = members.at(-1) ?? [];
  if (layout !== 'JSON' || name === undefined || !Array.isArray(list) || list.length < longList) {
    return Buffer.from(objectText(object, layout));
  }
  const rest = JSON.stringify(Object.fromEntries(members.slice(0, -1))).slice(0, -1);
  const pieces: Buffer[] = [];
  let text = `${rest}${rest === '{' ? '' : ','}${JSON.stringify(name)}:[`;
  const slices = new Slices();
  for (const [index, element] of list.entries()) {
    text += `${index === 0 ? '' : ','}${JSON.stringify(element)}`;
    if (!slices.spent) continue;
    pieces.push(Buffer.from(text));
    text = '';
    await slices.rest();
  }
  return Buffer.concat([...pieces, Buffer.from(`${text}]}\n`)]);
}
