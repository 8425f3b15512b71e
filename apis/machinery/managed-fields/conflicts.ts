import { ApiError } from '../errors.ts';
import type { StatusCause } from '../meta.ts';
import { goQuote } from '../quote.ts';
import { differenceOf, type FieldSet, pathsOf } from './field-set.ts';
import { compareBytes } from './go-json.ts';
import type { Manager, ManagerKey } from './managers.ts';
import { type PathElement, pathText } from './path-element.ts';

/** Fields that an apply would take from one manager. */
export interface LostFields {
  key: ManagerKey;
  manager: Manager;
  fields: FieldSet;
}

interface Conflict {
  key: ManagerKey;
  /** As users read it: the name, and for an updater the version. */
  manager: string;
  path: readonly PathElement[];
}

/** The 409 of an apply, in kube-apiserver's words (managedfields/internal/conflict.go). */
export class FieldConflicts extends ApiError {
  readonly #lost: readonly LostFields[];

  constructor(lost: readonly LostFields[]) {
    const conflicts = conflictsIn(lost);
    const causes = conflicts.map(
      ({ manager, path }): StatusCause => ({
        reason: 'FieldManagerConflict',
        message: `conflict with ${manager}`,
        field: pathText(path),
      }),
    );
    super('Conflict', messageOf(conflicts), { details: { causes } });
    this.#lost = lost;
  }

  /** What is left of these when some fields may be taken; undefined when nothing is. */
  without(allowed: FieldSet): FieldConflicts | undefined {
    const rest = this.#lost.flatMap(({ key, manager, fields }) => {
      const left = differenceOf(fields, allowed);
      return left.size === 0 ? [] : [{ key, manager, fields: left }];
    });
    return rest.length === 0 ? undefined : new FieldConflicts(rest);
  }
}

function conflictsIn(lost: readonly LostFields[]): Conflict[] {
  return [...lost]
    .sort((a, b) => compareBytes(a.key, b.key))
    .flatMap(({ key, manager, fields }) =>
      Array.from(pathsOf(fields), (path) => ({ key, manager: textOf(manager), path })),
    );
}

function messageOf(conflicts: readonly Conflict[]): string {
  const [first, ...others] = conflicts;
  if (first !== undefined && others.length === 0) {
    return `Apply failed with 1 conflict: conflict with ${first.manager}: ${pathText(first.path)}`;
  }
  const lines: string[] = [];
  let previous: ManagerKey | undefined;
  for (const { key, manager, path } of conflicts) {
    if (key !== previous) lines.push(`conflicts with ${manager}:`);
    lines.push(`- ${pathText(path)}`);
    previous = key;
  }
  return `Apply failed with ${conflicts.length} conflicts: ${lines.join('\n')}`;
}

function textOf({ name, operation, apiVersion, subresource }: Manager): string {
  const quoted = goQuote(name);
  const whole = subresource === undefined ? quoted : `${quoted} with subresource ${goQuote(subresource)}`;
  return operation === 'Update' ? `${whole} using ${apiVersion}` : whole;
}
