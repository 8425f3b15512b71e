/**
 * Decoding of JSON values into Go types as encoding/json does it: what fits is taken, null leaves the zero value, members
 * that a struct does not have are unknown, and the first value of a wrong type is the error, in Go's words.
 */

/** A Go type, as far as Kubernetes' metadata has them. */
export type GoType =
  | { kind: 'string' | 'int64' | 'bool' | 'time' | 'raw'; name?: string }
  | { kind: 'map' | 'slice'; name: string; of: GoType }
  | { kind: 'struct'; name: string; fields: Readonly<Record<string, GoType>> };

/** Go's name of the type that every object is decoded into first (k8s.io/apimachinery/pkg/runtime/serializer/json/meta.go). */
export const typeMetaStruct =
  'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }';
/** What kube-apiserver puts in front of what is wrong with that (the same file, Interpret). */
export const typeUnknown = "couldn't get version/kind; json parse error";

/** A value that does not fit its type. */
export class GoTypeError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'GoTypeError';
  }
}

export interface GoDecoded {
  /** What was taken; empty texts, maps and lists in structs are left out, as `omitempty` does. */
  value: unknown;
  /** Paths of members that the type does not have, in the order of their names, as `ownerReferences[0].color`. */
  unknown: string[];
}

/**
 * Decodes a value into a type.
 * @throws GoTypeError.
 */
export function decodeGo(value: unknown, type: GoType): GoDecoded {
  const decoder = new GoDecoder();
  const decoded = decoder.decode(value, type, { struct: undefined, fields: [], path: '' });
  if (decoder.error !== undefined) throw decoder.error;
  return { value: decoded, unknown: decoder.unknown };
}

/** Where a value is: in which struct, by which of its fields, and its path. */
interface Place {
  struct: string | undefined;
  fields: readonly string[];
  path: string;
}

const typeNames = { string: 'string', int64: 'int64', bool: 'bool', time: 'v1.Time', raw: '' } as const;
/** RFC 3339 as time.Parse takes it. */
const rfc3339 = /^\d{4}-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)([.,]\d+)?(Z|[-+]\d\d:\d\d)$/;

class GoDecoder {
  readonly unknown: string[] = [];
  error: GoTypeError | undefined;

  decode(value: unknown, type: GoType, place: Place): unknown {
    if (value === null || value === undefined) return undefined;
    switch (type.kind) {
      case 'string':
        return typeof value === 'string' ? value : this.#mismatch(value, type, place);
      case 'bool':
        return typeof value === 'boolean' ? value : this.#mismatch(value, type, place);
      case 'int64':
        return this.#integer(value, type, place);
      case 'time':
        return this.#time(value);
      case 'raw':
        return value;
      case 'slice':
        if (!Array.isArray(value)) return this.#mismatch(value, type, place);
        return value.map(
          (item, index) => this.decode(item, type.of, { ...place, path: `${place.path}[${index}]` }) ?? zeroOf(type.of),
        );
      case 'map':
      case 'struct':
        if (typeof value !== 'object' || Array.isArray(value)) return this.#mismatch(value, type, place);
        return 'fields' in type
          ? this.#struct(value as Record<string, unknown>, type, place)
          : this.#map(value as Record<string, unknown>, type.of, place);
    }
  }

  #map(value: Record<string, unknown>, of: GoType, place: Place): Record<string, unknown> {
    return Object.fromEntries(
      sorted(value).map(([name, member]) => [
        name,
        this.decode(member, of, { ...place, path: join(place.path, name) }) ?? zeroOf(of),
      ]),
    );
  }

  #struct(
    value: Record<string, unknown>,
    { name: struct, fields }: Extract<GoType, { kind: 'struct' }>,
    place: Place,
  ): Record<string, unknown> {
    const taken: Record<string, unknown> = {};
    for (const [name, member] of sorted(value)) {
      const path = join(place.path, name);
      const type = Object.hasOwn(fields, name) ? fields[name] : undefined;
      if (type === undefined) {
        if (this.unknown.length < mostUnknown) this.unknown.push(path);
        continue;
      }
      const decoded = this.decode(member, type, { struct: shortName(struct), fields: [...place.fields, name], path });
      if (!isZero(decoded)) taken[name] = decoded;
    }
    return taken;
  }

  #integer(value: unknown, type: GoType, place: Place): unknown {
    if (typeof value !== 'number') return this.#mismatch(value, type, place);
    return Number.isInteger(value) ? value : this.#mismatch(value, type, place, `number ${String(value)}`);
  }

  #time(value: unknown): string | undefined {
    if (typeof value !== 'string')
      return this.#fail(`json: cannot unmarshal ${kindOf(value)} into Go value of type string`);
    const time = rfc3339.test(value) ? Date.parse(value.replace(',', '.')) : Number.NaN;
    if (!Number.isNaN(time)) return `${new Date(time).toISOString().slice(0, 19)}Z`;
    return this.#fail(
      `parsing time ${JSON.stringify(value)} as "2006-01-02T15:04:05Z07:00": cannot parse ${JSON.stringify(value)} as "2006"`,
    );
  }

  #mismatch(value: unknown, type: GoType, { struct, fields }: Place, found = kindOf(value)): undefined {
    const name = type.name ?? typeNames[type.kind as keyof typeof typeNames];
    const into = struct === undefined ? 'Go value' : `Go struct field ${struct}.${fields.join('.')}`;
    return this.#fail(`json: cannot unmarshal ${found} into ${into} of type ${name}`);
  }

  #fail(message: string): undefined {
    this.error ??= new GoTypeError(message);
    return undefined;
  }
}

const mostUnknown = 100;

/** Members in the order of their names: Kubernetes decodes metadata from a map that Go has written. */
function sorted(value: Record<string, unknown>): [string, unknown][] {
  return Object.entries(value).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}

function shortName(name: string): string {
  return name.slice(name.lastIndexOf('.') + 1);
}

function zeroOf({ kind }: GoType): unknown {
  if (kind === 'string') return '';
  if (kind === 'int64') return 0;
  if (kind === 'bool') return false;
  return kind === 'struct' ? {} : undefined;
}

/** false and 0 do not count: the fields that may have them are pointers. */
function isZero(value: unknown): boolean {
  if (value === undefined || value === '') return true;
  if (Array.isArray(value)) return value.length === 0;
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}

/** What a JSON value is, as Go's decoder calls it. */
export function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return typeof value === 'boolean' ? 'bool' : typeof value;
}
