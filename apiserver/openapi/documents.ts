import { createHash } from 'node:crypto';
import { group, version } from '../../apis/names.ts';
import { definitions, type Json, sessionGroupVersionKind } from './definitions.ts';
import { type Operation, type PathItem, pathItems } from './operations.ts';

/** A document with its bytes and a hash that is the same in every replica of a version. */
export interface Document {
  bytes: Buffer;
  etag: string;
}

const info = { title: 'Sojourn', version: `v1` };
const pathDescriptions = {
  namespace: 'object name and auth scope, such as for teams and projects',
  name: 'name of the Session',
  path: 'path of the request in the sandbox',
} as const;

/** OpenAPI v2 (`/openapi/v2`): kube-apiserver merges it into its own. */
export function openApiV2(): Document {
  const paths = Object.fromEntries(pathItems().map((item) => [item.path, pathItemV2(item)]));
  return document({ swagger: '2.0', info, paths, definitions: definitions() });
}

/** OpenAPI v3 of our group version (`/openapi/v3/apis/G/V`): kubectl explain and create read it. */
export function openApiV3(): Document {
  const paths = Object.fromEntries(pathItems().map((item) => [item.path, pathItemV3(item)]));
  const schemas = Object.fromEntries(Object.entries(definitions()).map(([name, schema]) => [name, schemaV3(schema)]));
  return document({ openapi: '3.0.0', info, paths, components: { schemas } });
}

/** The index of v3 documents (`/openapi/v3`). */
export function openApiV3Index(v3: Document): Document {
  const key = `apis/${group}/${version}`;
  return document({ paths: { [key]: { serverRelativeURL: `/openapi/v3/${key}?hash=${v3.etag}` } } });
}

function document(content: Json): Document {
  const bytes = Buffer.from(JSON.stringify(content));
  return { bytes, etag: createHash('sha512').update(bytes).digest('hex').toUpperCase() };
}

function common({ id, description, action }: Operation): Json {
  return {
    description,
    operationId: id,
    tags: ['sojourn_v1alpha1'],
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': sessionGroupVersionKind,
  };
}

function pathItemV2({ parameters, operations }: PathItem): Json {
  const shared = parameters.map((name) => ({
    name,
    in: 'path',
    required: true,
    type: 'string',
    uniqueItems: true,
    description: pathDescriptions[name],
  }));
  const entries = operations.map((operation) => [operation.method, operationV2(operation)] as const);
  return { ...Object.fromEntries(entries), ...(shared.length === 0 ? {} : { parameters: shared }) };
}

function operationV2(operation: Operation): Json {
  const { body, answer, code, parameters, consumes = ['application/json'] } = operation;
  const bodyParameter = { name: 'body', in: 'body', schema: { $ref: `#/definitions/${body}` } };
  const response = {
    description: 'OK',
    schema: answer === undefined ? { type: 'string' } : { $ref: `#/definitions/${answer}` },
  };
  return {
    ...common(operation),
    consumes,
    produces: [answer === undefined ? '*/*' : 'application/json'],
    schemes: ['https'],
    parameters: body === undefined ? parameters : [bodyParameter, ...parameters],
    responses: { [code]: response, 401: { description: 'Unauthorized' } },
  };
}

function pathItemV3({ parameters, operations }: PathItem): Json {
  const shared = parameters.map((name) => ({
    name,
    in: 'path',
    required: true,
    description: pathDescriptions[name],
    schema: { type: 'string', uniqueItems: true },
  }));
  const entries = operations.map((operation) => [operation.method, operationV3(operation)] as const);
  return { ...Object.fromEntries(entries), ...(shared.length === 0 ? {} : { parameters: shared }) };
}

function operationV3(operation: Operation): Json {
  const { body, answer, code, parameters, consumes = ['application/json'] } = operation;
  const content = (name: string | undefined, ...types: readonly string[]) => {
    const schema = name === undefined ? { type: 'string' } : { $ref: `#/components/schemas/${name}` };
    return Object.fromEntries(types.map((type) => [type, { schema }]));
  };
  return {
    ...common(operation),
    parameters: parameters.map(({ name, in: place, description, ...schema }) => ({
      name,
      in: place,
      description,
      schema,
    })),
    ...(body === undefined ? {} : { requestBody: { content: content(body, ...consumes) } }),
    responses: {
      [code]: { description: 'OK', content: content(answer, answer === undefined ? '*/*' : 'application/json') },
      401: { description: 'Unauthorized' },
    },
  };
}

/** v3 ignores what stands beside a `$ref`, so a described reference becomes an `allOf`, as kube-openapi writes it. */
function schemaV3(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(schemaV3);
  if (typeof value !== 'object' || value === null) return value;
  const { $ref, ...rest } = value as Json;
  const members = Object.fromEntries(Object.entries(rest).map(([key, member]) => [key, schemaV3(member)]));
  if (typeof $ref !== 'string') return members;
  const target = { $ref: $ref.replace('#/definitions/', '#/components/schemas/') };
  return Object.keys(rest).length === 0 ? target : { ...members, allOf: [target] };
}
