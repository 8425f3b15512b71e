import { ApiError } from './errors.ts';
import { deepestNesting, nestedTooDeep } from './merge-patch.ts';

/** Operations of one patch (k8s.io/apiserver/pkg/endpoints/handlers/patch.go, maxJSONPatchOperations). */
const mostOperations = 10_000;
/** Bytes that all "copy" operations of a patch may add (jsonpatch.AccumulatedCopySizeLimit there). */
const mostCopiedBytes = 3 * 1024 * 1024;

type Container = Map<string, Node> | Node[];
/** A JSON value whose objects are Maps, so that no name of a member means anything to the engine. */
type Node = Container | string | number | boolean | null;

/**
 * A JSON value with a JSON patch applied (RFC 6902), as gopkg.in/evanphx/json-patch.v4 does it: an index may be negative, and
 * a missing value is null. The value is not changed.
 * @throws ApiError BadRequest (no patch), RequestEntityTooLarge (too many operations), Invalid (one cannot be done).
 */
export function applyJsonPatch(target: unknown, patch: unknown): unknown {
  if (patch !== null && !Array.isArray(patch)) throw new ApiError('BadRequest', 'a JSON patch is a list of operations');
  const operations = patch ?? [];
  if (operations.length > mostOperations) {
    const message = `Request entity too large: The allowed maximum operations in a JSON patch is ${mostOperations}, got ${operations.length}`;
    throw new ApiError('RequestEntityTooLarge', message);
  }
  const document = new PatchedDocument(toNode(target));
  for (const operation of operations as readonly unknown[]) document.apply(isRecord(operation) ? operation : {});
  return fromNode(document.root);
}

class PatchedDocument {
  #root: Node;
  #copiedBytes = 0;

  constructor(root: Node) {
    this.#root = root;
  }

  get root(): Node {
    return this.#root;
  }

  apply(operation: Record<string, unknown>): void {
    const { op } = operation;
    switch (op) {
      case 'add':
        this.#add(operation);
        break;
      case 'remove':
        this.#remove(operation);
        break;
      case 'replace':
        this.#replace(operation);
        break;
      case 'test':
        this.#test(operation);
        break;
      case 'move':
        this.#move(operation);
        break;
      case 'copy':
        this.#copy(operation);
        break;
      default:
        throw failed(`${typeof op === 'string' ? op : 'nothing'} is no operation`);
    }
  }

  #add(operation: Record<string, unknown>): void {
    const { holder, key } = this.#holderOf(textOf(operation, 'path'));
    insert(holder, key, operandOf(operation));
  }

  #remove(operation: Record<string, unknown>): void {
    const { holder, key } = this.#holderOf(textOf(operation, 'path'));
    takeAway(holder, key);
  }

  /** A member that there is not is made; an index that there is not is an error. */
  #replace(operation: Record<string, unknown>): void {
    const path = textOf(operation, 'path');
    const value = operandOf(operation);
    if (path === '') {
      if (!isContainer(value)) throw failed('only an object or a list can take the place of the whole');
      this.#root = value;
      return;
    }
    const { holder, key } = this.#holderOf(path);
    if (holder instanceof Map) holder.set(key, value);
    else holder[existingIndex(holder, key)] = value;
  }

  #test(operation: Record<string, unknown>): void {
    const path = textOf(operation, 'path');
    if (!areEqual(path === '' ? this.#root : this.#memberAt(path), operandOf(operation))) {
      throw failed(`testing value ${path} failed`);
    }
  }

  #move(operation: Record<string, unknown>): void {
    const source = this.#holderOf(textOf(operation, 'from'));
    const value = memberOf(source.holder, source.key) ?? null;
    takeAway(source.holder, source.key);
    const { holder, key } = this.#holderOf(textOf(operation, 'path'));
    insert(holder, key, value);
  }

  #copy(operation: Record<string, unknown>): void {
    const plain = fromNode(this.#memberAt(textOf(operation, 'from')));
    const { holder, key } = this.#holderOf(textOf(operation, 'path'));
    this.#copiedBytes += Buffer.byteLength(JSON.stringify(plain));
    if (this.#copiedBytes > mostCopiedBytes) throw failed(`copies of more than ${mostCopiedBytes} bytes`);
    insert(holder, key, toNode(plain));
  }

  /** What a path names; null when its holder is an object that does not have it. */
  #memberAt(path: string): Node {
    const { holder, key } = this.#holderOf(path);
    return memberOf(holder, key) ?? null;
  }

  /** The object or array that has, or is to have, what a path names. */
  #holderOf(path: string): { holder: Container; key: string } {
    const tokens = path.split('/').map((token) => token.replace(/~[01]/g, (code) => (code === '~1' ? '/' : '~')));
    const key = tokens.pop() ?? '';
    let holder: Node | undefined = tokens.length === 0 ? undefined : this.#root;
    for (const token of tokens.slice(1)) holder = isContainer(holder) ? memberOf(holder, token) : undefined;
    if (!isContainer(holder)) throw failed(`there is nothing at ${path}`);
    return { holder, key };
  }
}

function textOf(operation: Record<string, unknown>, member: 'path' | 'from'): string {
  const text = operation[member];
  if (typeof text !== 'string') throw failed(`an operation has no ${member}`);
  return text;
}

/** An operation without a value has null. */
function operandOf(operation: Record<string, unknown>): Node {
  return toNode(operation.value ?? null);
}

/** A member that there is not is undefined; an index that there is not is an error. */
function memberOf(holder: Container, key: string): Node | undefined {
  return holder instanceof Map ? holder.get(key) : holder[existingIndex(holder, key)];
}

function existingIndex(holder: readonly Node[], key: string): number {
  return resolveIndex(key, holder.length, holder.length - 1);
}

function insert(holder: Container, key: string, value: Node): void {
  if (holder instanceof Map) holder.set(key, value);
  else if (key === '-') holder.push(value);
  else holder.splice(resolveIndex(key, holder.length + 1, holder.length), 0, value);
}

function takeAway(holder: Container, key: string): void {
  if (!(holder instanceof Map)) holder.splice(existingIndex(holder, key), 1);
  else if (!holder.delete(key)) throw failed(`there is no ${key} to remove`);
}

/** An index from the beginning; a negative one counts from the end. */
function resolveIndex(key: string, length: number, last: number): number {
  const index = /^[-+]?\d{1,15}$/.test(key) ? Number(key) : Number.NaN;
  if (!(index <= last && index >= -length)) throw failed(`there is no index ${key}`);
  return index < 0 ? index + length : index;
}

function areEqual(one: Node, other: Node): boolean {
  if (one instanceof Map && other instanceof Map) {
    return (
      one.size === other.size &&
      [...one].every(([name, member]) => {
        const its = other.get(name);
        return its !== undefined && areEqual(member, its);
      })
    );
  }
  if (Array.isArray(one) && Array.isArray(other)) {
    return one.length === other.length && one.every((item, index) => areEqual(item, other[index] ?? null));
  }
  return one === other;
}

function toNode(value: unknown, depth = 0): Node {
  refuseDepth(depth);
  if (Array.isArray(value)) return value.map((item) => toNode(item, depth + 1));
  if (!isRecord(value)) return value as string | number | boolean | null;
  return new Map(Object.entries(value).map(([name, member]) => [name, toNode(member, depth + 1)]));
}

function fromNode(node: Node, depth = 0): unknown {
  refuseDepth(depth);
  if (Array.isArray(node)) return node.map((item) => fromNode(item, depth + 1));
  if (!(node instanceof Map)) return node;
  return Object.fromEntries([...node].map(([name, member]) => [name, fromNode(member, depth + 1)]));
}

function refuseDepth(depth: number): void {
  if (depth > deepestNesting) throw new ApiError('BadRequest', nestedTooDeep);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isContainer(node: Node | undefined): node is Container {
  return Array.isArray(node) || node instanceof Map;
}

/** An operation that cannot be done. kube-apiserver says no more than this (patch.go, NewGenericServerResponse). */
function failed(problem: string): ApiError {
  const message = 'the server rejected our request due to an error in our request';
  return new ApiError('Invalid', message, { details: {}, cause: new Error(`JSON patch: ${problem}`) });
}
