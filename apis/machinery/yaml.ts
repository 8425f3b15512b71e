import {
  Composer,
  Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type ParsedNode,
  Parser,
  Scalar,
  type ScalarTag,
  type Tags,
  visit,
} from 'yaml';
import { JsonSyntaxError, parseJson } from './json.ts';
import { goQuote } from './quote.ts';

/** A text that is no YAML, or that would cost more than it may. */
export class YamlError extends Error {
  constructor(message: string) {
    super(`yaml: ${message}`);
    this.name = 'YamlError';
  }
}

/** The first document of a YAML text. */
export interface ParsedYaml {
  /** As JSON has it: names of members are texts, and of several members of one name the last one counts. */
  value: unknown;
  /** Members that occur more than once in their map, as `line 7: key "suspended" already set in map`, 100 at most. */
  duplicates: string[];
}

/** Uses of anchors in one text; more only serve to make much of little (CVE-2019-11253). */
const mostAliases = 100;
/** Texts that are longer take the parser so long that others would have to wait. */
const yamlLimitBytes = 64 * 1024;
const mostDuplicates = 100;
const mergeTag = 'tag:yaml.org,2002:merge';
/** Of the parser's stack and ours: what people write is nested a dozen deep. */
const deepestNesting = 200;

/**
 * Reads YAML 1.1 as sigs.k8s.io/yaml does: `yes`, `on` and `y` are true, times stay texts, merge keys work, and everything
 * behind the first document is ignored.
 * @throws YamlError.
 */
export function parseYaml(text: string): ParsedYaml {
  const json = asJson(text);
  if (json !== undefined) return json;
  if (Buffer.byteLength(text) > yamlLimitBytes) throw new YamlError(`document exceeds ${yamlLimitBytes} bytes`);
  refuseDepth(text);
  const lines = new LineCounter();
  const document = firstDocument(text, lines);
  if (document === undefined) return { value: null, duplicates: [] };
  const [problem] = document.errors;
  if (problem !== undefined) {
    const line = problem.linePos?.[0].line ?? 1;
    throw new YamlError(`line ${line}: ${problem.message.split(/ at line \d+|\n/)[0] ?? ''}`);
  }
  const duplicates: string[] = [];
  findDuplicates(document.contents, lines, duplicates);
  try {
    return { value: toJson(document.toJS({ maxAliasCount: mostAliases })), duplicates };
  } catch (error) {
    // What the library says of aliases that make too much, or that name no anchor.
    if (error instanceof ReferenceError) throw new YamlError('document contains excessive aliasing');
    // What it says of anything but maps behind a merge key, here in go-yaml's words.
    if (error instanceof Error && error.message.startsWith('Merge sources')) {
      throw new YamlError('map merge requires map or sequence of maps as the value');
    }
    throw error;
  }
}

/** JSON is YAML, and what kubectl sends as YAML is JSON; a decoder made for it is a hundred times as fast. */
function asJson(text: string): ParsedYaml | undefined {
  if (!text.startsWith('{')) return undefined;
  try {
    const { value, duplicates } = parseJson(text);
    return duplicates.length === 0 ? { value, duplicates } : undefined;
  } catch (error) {
    if (error instanceof JsonSyntaxError) return undefined;
    throw error;
  }
}

/** Writes a JSON value as YAML, with members in the order of their names. */
export function formatYaml(value: unknown): string {
  const document = new Document(value, {
    version: '1.1',
    sortMapEntries: true,
    aliasDuplicateObjects: false,
    customTags: (tags) => tags.filter((tag) => typeof tag === 'string' || tag.tag !== mergeTag),
  });
  visit(document, {
    Pair: (_, { key }) => {
      // Left plain, it would be read as a merge.
      if (isScalar(key) && key.value === '<<') key.type = Scalar.QUOTE_DOUBLE;
    },
  });
  return document.toString({ indentSeq: false, lineWidth: 0, singleQuote: null, defaultKeyType: null });
}

function firstDocument(text: string, lines: LineCounter): Document.Parsed<ParsedNode> | undefined {
  const composer = new Composer({ version: '1.1', merge: true, uniqueKeys: false, customTags });
  const tokens = new Parser(lines.addNewLine).parse(text);
  for (const document of composer.compose(tokens, true, text.length)) return document as Document.Parsed<ParsedNode>;
  return undefined;
}

/** Types of YAML 1.1 that go-yaml leaves alone: times, numbers to base 60, sets and ordered maps. */
const untouched = new Set(['timestamp', 'set', 'omap', 'pairs', 'binary'].map((name) => `tag:yaml.org,2002:${name}`));

function customTags(tags: Tags): Tags {
  return tags.filter(
    (tag) => typeof tag === 'string' || (!untouched.has(tag.tag) && (tag as ScalarTag).format !== 'TIME'),
  );
}

/** Every opening bracket, and every column of indentation, may be a level. */
function refuseDepth(text: string): void {
  let open = 0;
  for (const line of text.split('\n')) {
    const [lead = ''] = /^(?:[- ?] ?)*/.exec(line) ?? [];
    let deepest = lead.length;
    for (const character of line) {
      if (character === '[' || character === '{') open += 1;
      else if (character === ']' || character === '}') open -= 1;
      deepest = Math.max(deepest, lead.length + open);
    }
    if (deepest > 2 * deepestNesting) throw new YamlError(`exceeded max depth of ${deepestNesting}`);
  }
}

function findDuplicates(node: unknown, lines: LineCounter, found: string[]): void {
  if (isAlias(node) || found.length >= mostDuplicates) return;
  if (isSeq(node)) for (const item of node.items) findDuplicates(item, lines, found);
  if (!isMap(node)) return;
  const names = new Set<unknown>();
  for (const { key, value } of node.items) {
    const name: unknown = isScalar(key) ? key.value : undefined;
    if (name !== undefined && names.has(name)) {
      const { line } = lines.linePos(isScalar(key) ? (key.range?.[0] ?? 0) : 0);
      found.push(`line ${line}: key ${typeof name === 'string' ? goQuote(name) : String(name)} already set in map`);
    }
    names.add(name);
    findDuplicates(value, lines, found);
  }
}

/** Numbers that JSON does not have are refused, whole numbers beyond 2^53 lose their last digits as in any JavaScript. */
function toJson(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (typeof value === 'number' && !Number.isFinite(value)) {
    throw new YamlError(`json: unsupported value: ${Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf'}`);
  }
  if (Array.isArray(value)) return value.map(toJson);
  if (typeof value !== 'object' || value === null) return value ?? null;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, toJson(member)]));
}
