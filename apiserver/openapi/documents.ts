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
/** In which objects are sent and taken. */
const objectTypes = ['application/json', 'application/yaml'] as const;
const codeTexts = { 200: 'OK', 201: 'Created', 202: 'Accepted' } as const;
const unauthorized = { 401: { description: 'Unauthorized' } } as const;
/** In the words of k8s.io/apimachinery, which every resource has them in. */
const pretty = {
  name: 'pretty',
  in: 'query',
  description:
    "If 'true', then the output is pretty printed. Defaults to 'false' unless the user-agent indicates a browser or command-line HTTP tool (curl and wget).",
} as const;
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
    tags: ['sojournDev_v1alpha1'],
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': sessionGroupVersionKind,
  };
}

/** What all operations of a path take; what is said to a sandbox is not ours to indent. */
function sharedParameters(parameters: PathItem['parameters']): Json[] {
  const inPath = parameters.map((name) => ({ name, in: 'path', description: pathDescriptions[name], required: true }));
  return parameters.includes('path') ? inPath : [...inPath, pretty];
}

function pathItemV2({ parameters, operations }: PathItem): Json {
  const type = { type: 'string', uniqueItems: true };
  const shared = sharedParameters(parameters).map((parameter) => ({ ...parameter, ...type }));
  const entries = operations.map((operation) => [operation.method, operationV2(operation)] as const);
  return { ...Object.fromEntries(entries), parameters: shared };
}

function operationV2(operation: Operation): Json {
  const { body, answer, codes, parameters, consumes = objectTypes } = operation;
  const required = isOptional(operation) ? {} : { required: true };
  const bodyParameter = { name: 'body', in: 'body', ...required, schema: { $ref: `#/definitions/${body}` } };
  const schema = answer === undefined ? { type: 'string' } : { $ref: `#/definitions/${answer}` };
  const responses = codes.map((code) => [code, { description: codeTexts[code], schema }] as const);
  return {
    ...common(operation),
    consumes,
    produces: answer === undefined ? ['*/*'] : objectTypes,
    schemes: ['https'],
    parameters: body === undefined ? parameters : [bodyParameter, ...parameters],
    responses: { ...Object.fromEntries(responses), ...unauthorized },
  };
}

function pathItemV3({ parameters, operations }: PathItem): Json {
  const schema = { type: 'string', uniqueItems: true };
  const shared = sharedParameters(parameters).map((parameter) => ({ ...parameter, schema }));
  const entries = operations.map((operation) => [operation.method, operationV3(operation)] as const);
  return { ...Object.fromEntries(entries), parameters: shared };
}

function operationV3(operation: Operation): Json {
  const { body, answer, codes, parameters, consumes = objectTypes } = operation;
  const required = isOptional(operation) ? {} : { required: true };
  const content = (name: string | undefined, ...types: readonly string[]) => {
    const schema = name === undefined ? { type: 'string' } : { $ref: `#/components/schemas/${name}` };
    return Object.fromEntries(types.map((type) => [type, { schema }]));
  };
  const answers = content(answer, ...(answer === undefined ? ['*/*'] : objectTypes));
  const responses = codes.map((code) => [code, { description: codeTexts[code], content: answers }] as const);
  return {
    ...common(operation),
    parameters: parameters.map(({ name, in: place, description, ...schema }) => ({
      name,
      in: place,
      description,
      schema,
    })),
    ...(body === undefined ? {} : { requestBody: { content: content(body, ...consumes), ...required } }),
    responses: { ...Object.fromEntries(responses), ...unauthorized },
  };
}

/** The options of a deletion may be left out. */
function isOptional({ method }: Operation): boolean {
  return method === 'delete';
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
