import { expect } from 'chai';
import { twinGroup } from '../../hack/twin/definition.ts';
import { useCluster } from '../support/cluster.ts';
import { useTwin } from './differential/support/twin.ts';

interface Parameter {
  name: string;
  in: string;
  required?: boolean;
  description: string;
  schema: { type: string };
}

interface Operation {
  operationId: string;
  parameters?: Parameter[];
  requestBody?: { content: Record<string, unknown>; required?: boolean };
  responses: Record<string, { description: string; content?: Record<string, unknown> }>;
}

type PathItem = { parameters?: Parameter[] } & Partial<Record<Method, Operation>>;
interface Document {
  paths: Record<string, PathItem>;
  components: {
    schemas: Record<
      string,
      { required?: string[]; properties?: Record<string, unknown>; [extension: string]: unknown }
    >;
  };
}

const methods = ['get', 'post', 'put', 'patch', 'delete'] as const;
type Method = (typeof methods)[number];

const collection = '/apis/sojourn.dev/v1alpha1/namespaces/{namespace}/sessions';

describe('OpenAPI of sessions, beside that of their twin', () => {
  const env = useCluster();
  useTwin(env);
  let session: Document;
  let twin: Document;

  before(async () => {
    const read = async (group: string): Promise<Document> => {
      const { body } = await env.client.requestRaw({ path: `/openapi/v3/apis/${group}/v1alpha1` });
      const words = twinGroup.split('.');
      const camel = words.map((word, at) => (at === 0 ? word : word.charAt(0).toUpperCase() + word.slice(1))).join('');
      const text = body
        .toString('utf8')
        .replaceAll(twinGroup, 'sojourn.dev')
        .replaceAll(words.toReversed().join('.'), 'dev.sojourn')
        .replaceAll(camel, 'sojournDev')
        .replaceAll(camel.charAt(0).toUpperCase() + camel.slice(1), 'SojournDev');
      return JSON.parse(text) as Document;
    };
    session = await read('sojourn.dev');
    twin = await read(twinGroup);
  });

  /** Every operation that both have, with its path's own parameters. */
  function operations(): { name: string; ours: Operation; its: Operation }[] {
    return Object.entries(twin.paths).flatMap(([path, item]) =>
      methods.flatMap((method) => {
        const [ours, its] = [session.paths[path]?.[method], item[method]];
        if (its === undefined || path.endsWith('/status')) return [];
        if (ours === undefined) throw new Error(`${method} ${path} is missing`);
        const whole = (operation: Operation, { parameters = [] }: PathItem) => ({
          ...operation,
          parameters: [...parameters, ...(operation.parameters ?? [])],
        });
        return [{ name: `${method} ${path}`, ours: whole(ours, session.paths[path] ?? {}), its: whole(its, item) }];
      }),
    );
  }

  it('has the same operations, under the same names', () => {
    for (const { name, ours, its } of operations())
      expect([name, ours.operationId]).to.deep.equal([name, its.operationId]);
    expect(operations().length).to.equal(8);
  });

  it('has the same parameters, in the same words', () => {
    for (const { name, ours, its } of operations()) {
      const described = ({ parameters = [] }: Operation) =>
        Object.fromEntries(
          parameters.map(({ name: parameter, in: place, required, description, schema }) => [
            `${place} ${parameter}`,
            { required, description, type: schema.type },
          ]),
        );
      const { 'query shardSelector': _switchedOff, ...expected } = described(its);
      expect(described(ours), name).to.deep.include(expected);
    }
  });

  it('has the same media types and codes', () => {
    for (const { name, ours, its } of operations()) {
      const taken = ({ requestBody }: Operation) => Object.keys(requestBody?.content ?? {}).sort();
      // A custom resource's document has forgotten that a collection is deleted with options, too.
      if (taken(its).length > 0) expect([name, taken(ours)]).to.deep.equal([name, taken(its)]);
      expect([name, ours.requestBody?.required]).to.deep.equal([name, its.requestBody?.required]);
      for (const [code, { description, content = {} }] of Object.entries(its.responses)) {
        const answer = ours.responses[code];
        expect([name, code, answer?.description]).to.deep.equal([name, code, description]);
        expect([name, Object.keys(answer?.content ?? {})]).to.deep.equal([name, Object.keys(content)]);
      }
    }
  });

  it('says that an apply may create', () => {
    expect(Object.keys(session.paths[`${collection}/{name}`]?.patch?.responses ?? {})).to.deep.equal([
      '200',
      '201',
      '401',
    ]);
  });

  it('has the same definitions of metadata, options and Status', () => {
    const names = Object.keys(twin.components.schemas).filter((name) => name.startsWith('io.k8s.'));
    for (const name of names) {
      // Which groups use a definition is the business of the server that has them.
      const { 'x-kubernetes-group-version-kind': _ours, ...own } = session.components.schemas[name] ?? {};
      const { 'x-kubernetes-group-version-kind': _its, ...others } = twin.components.schemas[name] ?? {};
      expect(own, name).to.deep.equal(withoutDefaults(others));
    }
    const [ours, its] = [session, twin].map(({ components }) => components.schemas['dev.sojourn.v1alpha1.Session']);
    expect(Object.keys(ours?.properties ?? {}).sort()).to.deep.equal(Object.keys(its?.properties ?? {}).sort());
    expect(ours?.required).to.deep.equal(its?.required);
  });

  it('has the paths that only sessions have', () => {
    const proxy = session.paths[`${collection}/{name}/proxy/{path}`];
    expect(methods.filter((method) => proxy?.[method] !== undefined)).to.deep.equal([...methods]);
  });
});

/** A definition without Go's zero values, which the document that ours are taken from does not tell. */
function withoutDefaults(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutDefaults);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).filter(([name]) => name !== 'default');
  return Object.fromEntries(members.map(([name, member]) => [name, withoutDefaults(member)]));
}
