import { ApiError } from '../../apis/machinery/errors.ts';
import { kindOf } from '../../apis/machinery/go-decoding.ts';
import type { JsonObject } from '../../apis/machinery/managed-fields/field-manager.ts';
import { deepestNesting, nestedTooDeep } from '../../apis/machinery/merge-patch.ts';
import { type ParsedYaml, parseYaml, YamlError } from '../../apis/machinery/yaml.ts';

/** What was applied, and which members of it are there twice. */
export interface AppliedBody {
  object: JsonObject;
  duplicates: readonly string[];
}

/**
 * Reads the body of an apply, YAML or JSON, in the words of k8s.io/apiserver/pkg/endpoints/handlers/patch.go.
 * @throws ApiError BadRequest.
 */
export function readAppliedBody(body: Buffer): AppliedBody {
  const { value, duplicates } = parsed(body.toString('utf8'));
  refuseDepth(value, 0);
  const found = kindOf(value);
  if (found !== 'object' && found !== 'null') {
    const problem = `while decoding JSON: json: cannot unmarshal ${found} into Go value of type map[string]interface {}`;
    throw new ApiError('BadRequest', `error decoding patch: error unmarshaling JSON: ${problem}`);
  }
  return { object: (value ?? {}) as JsonObject, duplicates };
}

function parsed(text: string): ParsedYaml {
  try {
    return parseYaml(text);
  } catch (error) {
    if (error instanceof YamlError) throw new ApiError('BadRequest', `error encoding patch: ${error.message}`);
    throw error;
  }
}

/** As the other patches: what is nested deeper would only cost stack. */
function refuseDepth(value: unknown, depth: number): void {
  if (typeof value !== 'object' || value === null) return;
  if (depth > deepestNesting) throw new ApiError('BadRequest', nestedTooDeep);
  for (const member of Object.values(value)) refuseDepth(member, depth + 1);
}
