import type { Schema } from '../../apis/machinery/schema.ts';
import { kind, resource, version } from '../../apis/names.ts';
import { durationPattern } from '../../apis/v1alpha1/duration.ts';
import { sessionSpec, sessionStatus } from '../../apis/v1alpha1/types.ts';

/** API group of the custom resource that kube-apiserver itself serves, and that a Session must be told apart from by nothing else. */
export const twinGroup = 'twin.sojourn.test';

/** What the tests' runtimes say of time, so that the twin's constant defaults are the Session's. */
const limits = { idleTimeout: '15m', maxDuration: '8h' };

/** Keywords that a CustomResourceDefinition has in common with our schemas. */
const keywords = [
  'type',
  'description',
  'required',
  'enum',
  'format',
  'pattern',
  'minLength',
  'maxLength',
  'minimum',
  'maximum',
  'maxItems',
] as const;

interface Rule {
  rule: string;
  message?: string;
  messageExpression?: string;
  fieldPath?: string;
  reason?: string;
}

interface CrdSchema extends Schema {
  properties?: Record<string, CrdSchema>;
  default?: unknown;
  'x-kubernetes-validations'?: Rule[];
}

/** The same schema, defaults and rules, as a custom resource has them. */
export function twinDefinition(): object {
  const spec = crdSchema(sessionSpec as Schema);
  const properties = spec.properties ?? {};
  Object.assign(properties.idleTimeout ?? {}, { default: limits.idleTimeout });
  Object.assign(properties.maxDuration ?? {}, { default: limits.maxDuration });
  Object.assign(properties.idleAction ?? {}, { default: 'Delete' });
  Object.assign(properties.suspended ?? {}, { default: false });
  Object.assign(properties.runtimeRef ?? {}, {
    'x-kubernetes-validations': [{ rule: 'self == oldSelf', message: 'field is immutable' }],
  });
  const isDuration = (of: string) => `${of}.matches(r'${durationPattern}')`;
  const atLeast = [
    { rule: `!${isDuration('self')} || duration(self) >= duration('5s')`, message: 'must be at least 5s' },
  ];
  const atMost = {
    rule: `!${isDuration('self')} || duration(self) <= duration('${limits.maxDuration}')`,
    message: `must not be more than the runtime's maxSessionDuration (${limits.maxDuration})`,
  };
  Object.assign(properties.idleTimeout ?? {}, { 'x-kubernetes-validations': atLeast });
  Object.assign(properties.maxDuration ?? {}, { 'x-kubernetes-validations': [atMost, ...atLeast] });
  const areDurations = `${isDuration('self.idleTimeout')} && ${isDuration('self.maxDuration')}`;
  spec['x-kubernetes-validations'] = [
    {
      rule: `!has(self.idleTimeout) || !has(self.maxDuration) || !(${areDurations}) || duration(self.idleTimeout) <= duration(self.maxDuration)`,
      messageExpression: "'must not be more than maxDuration (' + self.maxDuration + ')'",
      fieldPath: '.idleTimeout',
    },
  ];
  const schema = {
    type: 'object',
    properties: { spec, status: crdSchema(sessionStatus as Schema) },
    required: ['spec'],
  };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${resource}.${twinGroup}` },
    spec: {
      group: twinGroup,
      scope: 'Namespaced',
      names: { plural: resource, singular: 'session', kind, listKind: `${kind}List`, shortNames: ['twin'] },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          schema: { openAPIV3Schema: schema },
          subresources: { status: {} },
          selectableFields: [{ jsonPath: '.spec.runtimeRef.name' }, { jsonPath: '.status.phase' }],
          additionalPrinterColumns: [
            { name: 'Runtime', type: 'string', jsonPath: '.spec.runtimeRef.name' },
            { name: 'Phase', type: 'string', jsonPath: '.status.phase' },
            { name: 'Expires', type: 'date', jsonPath: '.status.expirationTime' },
            { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
            { name: 'User', type: 'string', jsonPath: '.status.user.username', priority: 1 },
          ],
        },
      ],
    },
  };
}

/** One of our schemas in the words of apiextensions.k8s.io/v1. */
function crdSchema(schema: Schema): CrdSchema {
  const own: Record<string, unknown> = {};
  for (const keyword of keywords) {
    const value = (schema as Record<string, unknown>)[keyword];
    if (value !== undefined) own[keyword] = value;
  }
  if (schema.properties !== undefined) {
    own.properties = Object.fromEntries(
      Object.entries(schema.properties).map(([name, member]) => [name, crdSchema(member)]),
    );
  }
  if (schema.items !== undefined) own.items = crdSchema(schema.items);
  return own as CrdSchema;
}
