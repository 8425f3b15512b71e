import { isDeepStrictEqual } from 'node:util';
import { ApiError, clip } from './errors.ts';
import { deepestNesting, nestedTooDeep } from './merge-patch.ts';

/** Operations of one patch (k8s.io/apiserver/pkg/endpoints/handlers/patch.go, maxJSONPatchOperations). */
const mostOperations = 10_000;
/** Bytes that all "copy" operations of a patch may add (jsonpatch.AccumulatedCopySizeLimit there). */
const mostCopiedBytes = 3 * 1024 * 1024;

type Container = Map<string, Node> | Node[];
/** A JSON value whose objects are Maps, so that no name of a member means anything to the engine. */
type Node = Container | string | number | boolean | null;

/**
 * A JSON value with a JSON patch applied (RFC 6902). The value is not changed.
 * @throws ApiError BadRequest (no patch), RequestEntityTooLarge (too many operations), Invalid (one cannot be done).
 */
export function applyJsonPatch(target: unknown, patch: unknown): unknown {
  if (!Array.isArray(patch)) throw new ApiError('BadRequest', 'a JSON patch is a list of operations');
  if (patch.length > mostOperations) {
    const message = `The allowed maximum operations in a JSON patch is ${mostOperations}, got ${patch.length}`;
    throw new ApiError('RequestEntityTooLarge', message);
  }
  const document = new PatchedDocument(toNode(target));
  for (const [index, operation] of patch.entries()) document.apply(operation, index);
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

  apply(operation: unknown, index: number): void {
    const members = isRecord(operation) ? operation : {};
    const { op, path, from } = members;
    if (typeof path !== 'string') throw malformed(index, 'it has no path');
    switch (op) {
      case 'add':
        this.#add(path, operandOf(members, index));
        break;
      case 'remove':
        this.#remove(path);
        break;
      case 'replace':
        this.#get(path);
        this.#replace(path, operandOf(members, index));
        break;
      case 'test':
        if (!isDeepStrictEqual(this.#get(path), operandOf(members, index))) throw failed(path, 'testing it failed');
        break;
      case 'move':
        this.#move(sourceOf(from, index), path);
        break;
      case 'copy':
        this.#copy(sourceOf(from, index), path);
        break;
      default:
        throw malformed(index, 'its op is none of add, remove, replace, move, copy, test');
    }
  }

  #move(from: string, path: string): void {
    if (path.startsWith(`${from}/`)) throw failed(path, 'a value cannot be moved into itself');
    const value = this.#get(from);
    this.#remove(from);
    this.#add(path, value);
  }

  #copy(from: string, path: string): void {
    const value = fromNode(this.#get(from));
    this.#copiedBytes += Buffer.byteLength(JSON.stringify(value));
    if (this.#copiedBytes > mostCopiedBytes) throw failed(path, 'too much is copied');
    this.#add(path, toNode(value));
  }

  #get(path: string): Node {
    let node = this.#root;
    for (const token of tokensOf(path)) node = memberOf(node, token, path);
    return node;
  }

  #add(path: string, value: Node): void {
    const { parent, token } = this.#parentOf(path);
    if (parent === undefined) this.#root = value;
    else if (parent instanceof Map) parent.set(token, value);
    else parent.splice(token === '-' ? parent.length : indexOf(token, parent.length, path), 0, value);
  }

  #remove(path: string): void {
    this.#get(path);
    const { parent, token } = this.#parentOf(path);
    if (parent === undefined) this.#root = null;
    else if (parent instanceof Map) parent.delete(token);
    else parent.splice(Number(token), 1);
  }

  #replace(path: string, value: Node): void {
    const { parent, token } = this.#parentOf(path);
    if (parent === undefined) this.#root = value;
    else if (parent instanceof Map) parent.set(token, value);
    else parent[Number(token)] = value;
  }

  #parentOf(path: string): { parent: Container | undefined; token: string } {
    const tokens = tokensOf(path);
    const token = tokens.pop();
    if (token === undefined) return { parent: undefined, token: '' };
    let parent = this.#root;
    for (const step of tokens) parent = memberOf(parent, step, path);
    if (!isContainer(parent)) throw failed(path, 'there is nothing of that path');
    return { parent, token };
  }
}

/** The reference tokens of a JSON Pointer (RFC 6901). */
function tokensOf(path: string): string[] {
  if (path === '') return [];
  if (!path.startsWith('/')) throw failed(path, 'a path begins with "/"');
  return path
    .slice(1)
    .split('/')
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function memberOf(node: Node, token: string, path: string): Node {
  const member =
    node instanceof Map
      ? node.get(token)
      : Array.isArray(node)
        ? node[indexOf(token, node.length - 1, path)]
        : undefined;
  if (member === undefined) throw failed(path, 'there is nothing of that path');
  return member;
}

function indexOf(token: string, last: number, path: string): number {
  if (!/^(?:0|[1-9]\d{0,9})$/.test(token) || Number(token) > last) throw failed(path, 'there is no such index');
  return Number(token);
}

function sourceOf(from: unknown, index: number): string {
  if (typeof from !== 'string') throw malformed(index, 'it has no from');
  return from;
}

function operandOf(operation: Record<string, unknown>, index: number): Node {
  if (!Object.hasOwn(operation, 'value')) throw malformed(index, 'it has no value');
  return toNode(operation.value);
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

function isContainer(node: Node): node is Container {
  return Array.isArray(node) || node instanceof Map;
}

function malformed(index: number, problem: string): ApiError {
  return new ApiError('BadRequest', `operation ${index} of the JSON patch cannot be read: ${problem}`);
}

function failed(path: string, problem: string): ApiError {
  return new ApiError('Invalid', `the JSON patch cannot be applied at ${JSON.stringify(clip(path))}: ${problem}`);
}
