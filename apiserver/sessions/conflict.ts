import { ApiError } from '../../apis/machinery/errors.ts';
import { group, resource } from '../../apis/names.ts';

/** The 409 of a session, as kube-apiserver words it (k8s.io/apimachinery/pkg/api/errors, NewConflict). */
export function conflict(name: string, problem: string): ApiError {
  return new ApiError('Conflict', `Operation cannot be fulfilled on ${resource}.${group} "${name}": ${problem}`, {
    details: { name, group, kind: resource },
  });
}
