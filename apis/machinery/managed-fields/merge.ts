import { isEmpty } from './compare.ts';
import {
  type FieldSchema,
  itemElement,
  itemsOf,
  type Members,
  memberSchema,
  membersOf,
  shapeOf,
} from './field-schema.ts';
import type { PathElement } from './path-element.ts';

/**
 * A value with an applied configuration merged into it: what the configuration says wins, what it does not mention stays
 * (structured-merge-diff, typed/merge.go). Undefined is an absent value. Nothing is changed in place.
 */
export function mergeApplied(live: unknown, applied: unknown, schema: FieldSchema): unknown {
  const shape = shapeOf(schema);
  if (shape === 'leaf' || (isEmpty(live) && isEmpty(applied))) return applied === undefined ? live : applied;
  return shape === 'list'
    ? mergeItems(itemsOf(live) ?? [], itemsOf(applied) ?? [], schema)
    : mergeMembers(membersOf(live) ?? {}, membersOf(applied) ?? {}, schema);
}

function mergeMembers(live: Members, applied: Members, schema: FieldSchema): Members {
  const members = new Map(Object.entries(live));
  for (const [name, value] of Object.entries(applied)) members.set(name, value);
  return Object.fromEntries(
    Array.from(members.keys(), (name) => {
      const was = Object.hasOwn(live, name) ? live[name] : undefined;
      const wanted = Object.hasOwn(applied, name) ? applied[name] : undefined;
      return [name, mergeApplied(was, wanted, memberSchema(schema, name) ?? {})];
    }),
  );
}

/** Items of both; those of the configuration keep its order, the others their place among them. */
function mergeItems(live: readonly unknown[], applied: readonly unknown[], schema: FieldSchema): unknown[] {
  const merging = new MergingLists(live, applied, schema);
  while (!merging.done) merging.step();
  return merging.out;
}

class MergingLists {
  readonly out: unknown[] = [];
  readonly #schema: FieldSchema;
  readonly #live: readonly unknown[];
  readonly #applied: readonly unknown[];
  readonly #liveElements: readonly PathElement[];
  readonly #appliedElements: readonly PathElement[];
  /** Items by their step; undefined of one that is there twice, because neither can be meant. */
  readonly #liveItems = new Map<PathElement, unknown>();
  readonly #isApplied: ReadonlySet<PathElement>;
  readonly #merged = new Set<PathElement>();
  /** Steps of items that are in both lists, in the order of the configuration; and how many of them are behind us. */
  readonly #shared: readonly PathElement[];
  #sharedAt = 0;
  #l = 0;
  #a = 0;

  constructor(live: readonly unknown[], applied: readonly unknown[], schema: FieldSchema) {
    this.#schema = schema;
    this.#live = live;
    this.#applied = applied;
    this.#liveElements = live.map((item) => itemElement(schema, item));
    this.#appliedElements = applied.map((item) => itemElement(schema, item));
    for (const [index, element] of this.#liveElements.entries()) {
      this.#liveItems.set(element, this.#liveItems.has(element) ? undefined : live[index]);
    }
    this.#isApplied = new Set(this.#appliedElements);
    this.#shared = this.#appliedElements.filter((element) => this.#liveItems.has(element));
  }

  get done(): boolean {
    return this.#l >= this.#live.length && this.#a >= this.#applied.length;
  }

  /** Takes or passes over one item of either list (structured-merge-diff, mergingWalker.visitListItems). */
  step(): void {
    const mine = this.#liveElements[this.#l];
    const theirs = this.#appliedElements[this.#a];
    const shared = this.#shared[this.#sharedAt];
    if (mine !== undefined && mine === theirs) {
      this.#take(mine);
      this.#l += 1;
      this.#sharedAt += 1;
      return;
    }
    if (mine !== undefined && !this.#isApplied.has(mine)) {
      this.out.push(this.#live[this.#l]);
      this.#l += 1;
      return;
    }
    // It comes where the configuration has it.
    if (mine !== undefined && theirs !== undefined && shared !== undefined && shared !== mine) {
      this.#l += 1;
      return;
    }
    if (mine !== undefined && this.#merged.has(mine)) this.#l += 1;
    if (theirs === undefined) return;
    this.#take(theirs);
    if (shared === theirs) this.#sharedAt += 1;
  }

  #take(element: PathElement): void {
    this.#merged.add(element);
    this.out.push(mergeApplied(this.#liveItems.get(element), this.#applied[this.#a], this.#schema.items ?? {}));
    this.#a += 1;
  }
}
