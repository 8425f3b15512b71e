import { invalid } from '../../apis/machinery/errors.ts';
import type { StatusCause } from '../../apis/machinery/meta.ts';
import {
  forbiddenValue,
  invalidValue,
  requiredValue,
  tooLongValue,
  unsupportedValue,
} from '../../apis/machinery/names.ts';
import { readBoolean } from '../../apis/machinery/query-values.ts';

/** Whether a write is only tried (`dryRun=All`): every check, no effect. */
export type DryRun = 'All' | undefined;

/** What unknown and duplicate fields do (KEP-2885). */
export type FieldValidation = 'Ignore' | 'Warn' | 'Strict';

/** Options of a write, as kube-apiserver names them in its errors. */
export type OptionsKind = 'CreateOptions' | 'UpdateOptions' | 'PatchOptions';

export interface WriteOptions {
  dryRun: DryRun;
  fieldValidation: FieldValidation;
}

export interface PatchOptions extends WriteOptions {
  /** Of an apply: whether fields are taken from those who have them. */
  force: boolean;
}

/** Longest name of a field manager in bytes (k8s.io/apimachinery/pkg/apis/meta/v1/validation, FieldManagerMaxLength). */
export const longestManager = 128;
const directives = ['', 'Ignore', 'Strict', 'Warn'];

/**
 * Reads the options of a create or update; Warn is kube-apiserver's default of `fieldValidation`.
 * @throws ApiError Invalid with every cause (k8s.io/apimachinery/pkg/apis/meta/v1/validation).
 */
export function readWriteOptions(query: URLSearchParams, kind: OptionsKind): WriteOptions {
  return checked(query, kind, []);
}

/**
 * Reads the options of a patch.
 * @throws ApiError Invalid with every cause.
 */
export function readPatchOptions(query: URLSearchParams, patch: 'apply' | 'other'): PatchOptions {
  const force = query.has('force') ? readBoolean(query.get('force')) : undefined;
  const causes: StatusCause[] = [];
  if (patch === 'other' && force !== undefined) {
    causes.push(forbiddenValue('force', 'may not be specified for non-apply patch'));
  }
  if (patch === 'apply' && (query.get('fieldManager') ?? '') === '') {
    causes.push(requiredValue('fieldManager', 'is required for apply patch'));
  }
  return { ...checked(query, 'PatchOptions', causes), force: force ?? false };
}

function checked(query: URLSearchParams, kind: OptionsKind, causes: StatusCause[]): WriteOptions {
  causes.push(...managerCauses(query.get('fieldManager') ?? ''));
  const dryRun = query.getAll('dryRun');
  if (dryRun.some((value) => value !== 'All')) causes.push(unsupportedValue('dryRun', dryRun, ['All']));
  const fieldValidation = query.get('fieldValidation') ?? '';
  if (!directives.includes(fieldValidation)) {
    causes.push(unsupportedValue('fieldValidation', fieldValidation, directives));
  }
  if (causes.length > 0) throw invalid(kind, 'meta.k8s.io', '', causes);
  return {
    dryRun: dryRun.length === 0 ? undefined : 'All',
    fieldValidation: fieldValidation === '' ? 'Warn' : (fieldValidation as FieldValidation),
  };
}

function managerCauses(manager: string): StatusCause[] {
  const causes: StatusCause[] = [];
  if (Buffer.byteLength(manager) > longestManager) causes.push(tooLongValue('fieldManager', longestManager));
  let position = 0;
  for (const character of manager) {
    if (!isPrintable(character)) {
      const problem = `invalid character ${unicodeName(character)} (at position ${position})`;
      causes.push(invalidValue('fieldManager', manager, problem));
    }
    position += Buffer.byteLength(character);
  }
  return causes;
}

/** Whether Go prints a character as it is (unicode.IsPrint). */
function isPrintable(character: string): boolean {
  return /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u.test(character);
}

/** A character as Go's %#U writes it. */
function unicodeName(character: string): string {
  return `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
}
