import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/**
 * Takes the definitions of metadata, lists, deletions and Status, and the query parameters of the standard verbs, from
 * the OpenAPI document of the Kubernetes version that hack/kube pins, so that `kubectl explain session.metadata` says
 * what it says of every other resource.
 *
 *   node hack/generate/openapi-meta.ts update    writes apiserver/openapi/meta-definitions.json
 *   node hack/generate/openapi-meta.ts verify    fails when that file is not what update would write
 */

const target = fileURLToPath(new URL('../../apiserver/openapi/meta-definitions.json', import.meta.url));
const moduleDir = fileURLToPath(new URL('../kube', import.meta.url));
const prefix = 'io.k8s.apimachinery.pkg.apis.meta.v1.';
const roots = ['ObjectMeta', 'ListMeta', 'DeleteOptions', 'Patch', 'Status'].map((name) => prefix + name);

interface Swagger {
  definitions: Record<string, unknown>;
  paths: Record<string, Record<string, { parameters?: { $ref?: string; name?: string; in?: string }[] }>>;
  parameters: Record<string, { name: string; in: string }>;
}

async function generate(): Promise<string> {
  const { stdout } = await promisify(execFile)('go', ['mod', 'download', '-json', 'k8s.io/kubernetes'], {
    cwd: moduleDir,
  });
  const { Dir: directory } = JSON.parse(stdout) as { Dir: string };
  const swagger = JSON.parse(await readFile(`${directory}/api/openapi-spec/swagger.json`, 'utf8')) as Swagger;
  const definitions: Record<string, unknown> = {};
  const wanted = [...roots];
  for (let name = wanted.pop(); name !== undefined; name = wanted.pop()) {
    if (Object.hasOwn(definitions, name)) continue;
    definitions[name] = swagger.definitions[name];
    const references = JSON.stringify(definitions[name]).matchAll(/"#\/definitions\/([^"]+)"/g);
    for (const [, reference = ''] of references) wanted.push(reference);
  }
  const collection = swagger.paths['/apis/apps/v1/namespaces/{namespace}/deployments'];
  const object = swagger.paths['/apis/apps/v1/namespaces/{namespace}/deployments/{name}'];
  const parameters = {
    list: queryParameters(swagger, collection?.get),
    create: queryParameters(swagger, collection?.post),
    update: queryParameters(swagger, object?.put),
    patch: queryParameters(swagger, object?.patch),
    delete: queryParameters(swagger, object?.delete),
    deletecollection: queryParameters(swagger, collection?.delete),
  };
  return `${JSON.stringify({ definitions: sorted(definitions), parameters }, undefined, 1)}\n`;
}

function queryParameters(swagger: Swagger, operation: { parameters?: { $ref?: string }[] } | undefined): unknown[] {
  const resolved = (operation?.parameters ?? []).map((parameter) =>
    parameter.$ref === undefined ? parameter : swagger.parameters[parameter.$ref.replace('#/parameters/', '')],
  );
  return resolved.filter((parameter) => (parameter as { in?: string } | undefined)?.in === 'query');
}

function sorted(record: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
}

const generated = await generate();
if (process.argv[2] === 'update') {
  await writeFile(target, generated);
} else if ((await readFile(target, 'utf8')) !== generated) {
  process.stderr.write(
    'apiserver/openapi/meta-definitions.json is out of date: run node hack/generate/openapi-meta.ts update\n',
  );
  process.exitCode = 1;
}
