import { ApiError, clip, invalid } from '../../apis/machinery/errors.ts';

/** Whether a write is only tried (`dryRun=All`): every check, no effect. */
export type DryRun = 'All' | undefined;

/** What unknown and duplicate fields do (KEP-2885). */
export type FieldValidation = 'Ignore' | 'Warn' | 'Strict';

/** Options of a write, as kube-apiserver names them in its errors. */
export type OptionsKind = 'CreateOptions' | 'UpdateOptions' | 'PatchOptions';

/** Reads the `fieldValidation` parameter; Warn is kube-apiserver's default. */
export function readFieldValidation(query: URLSearchParams, optionsKind: OptionsKind): FieldValidation {
  const text = query.get('fieldValidation') ?? '';
  if (text === '') return 'Warn';
  if (text === 'Ignore' || text === 'Warn' || text === 'Strict') return text;
  const message = `fieldValidation: Unsupported value: ${JSON.stringify(text)}: supported values: "Ignore", "Strict", "Warn"`;
  throw new ApiError('Invalid', `${optionsKind}.meta.k8s.io "" is invalid: ${message}`, {
    details: {
      group: 'meta.k8s.io',
      kind: optionsKind,
      causes: [{ reason: 'FieldValueNotSupported', message, field: 'fieldValidation' }],
    },
  });
}

/**
 * Reads the `dryRun` parameter.
 * @throws ApiError Invalid.
 */
export function readDryRun(query: URLSearchParams, optionsKind: OptionsKind): DryRun {
  const values = query.getAll('dryRun').filter((value) => value !== '');
  if (values.every((value) => value === 'All')) return values.length === 0 ? undefined : 'All';
  const cause = {
    reason: 'FieldValueNotSupported',
    field: 'dryRun',
    message: `Unsupported value: ${clip(JSON.stringify(values))}: supported values: "All"`,
  };
  throw invalid(optionsKind, 'meta.k8s.io', '', [cause]);
}
