import { expect } from 'chai';
import { ApiError } from '../../../../apis/machinery/errors.ts';
import { FieldManager, type JsonObject } from '../../../../apis/machinery/managed-fields/field-manager.ts';
import type { FieldSchema } from '../../../../apis/machinery/managed-fields/field-schema.ts';

const text: FieldSchema = { type: 'string' };
const schema: FieldSchema = {
  type: 'object',
  properties: {
    apiVersion: text,
    kind: text,
    metadata: {
      type: 'object',
      properties: {
        name: text,
        uid: text,
        labels: { type: 'object', additionalProperties: text },
        annotations: { type: 'object', additionalProperties: text },
        managedFields: { type: 'array', items: { type: 'object' } },
      },
    },
    spec: {
      type: 'object',
      properties: {
        size: { type: 'integer' },
        colour: text,
        tags: { type: 'array', 'x-kubernetes-list-type': 'set', items: text },
        ports: {
          type: 'array',
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['name'],
          items: { type: 'object', properties: { name: text, port: { type: 'integer' }, host: text } },
        },
        whole: { type: 'object', 'x-kubernetes-map-type': 'atomic', properties: { a: text, b: text } },
        list: { type: 'array', items: text },
      },
    },
    status: { type: 'object', properties: { phase: text } },
  },
};
const apiVersion = 'example.com/v1';
const kind = 'Thing';
const at = (second: number) => Date.UTC(2030, 0, 1, 0, 0, second);

describe('the field manager', () => {
  const manager = new FieldManager({ schema, apiVersion, kind, unowned: ['status'] });
  const thing = (spec?: object, metadata: object = {}) => ({
    apiVersion,
    kind,
    metadata: { name: 'x', ...metadata },
    spec,
  });

  /** One object and what is done to it. */
  class Stored {
    object: JsonObject = { apiVersion, kind };
    #second = 0;

    get spec(): unknown {
      return this.object.spec;
    }

    get owners(): Record<string, unknown> {
      const { managedFields = [] } = this.object.metadata as {
        managedFields?: { manager: string; fieldsV1: unknown }[];
      };
      return Object.fromEntries(managedFields.map((entry) => [entry.manager, entry.fieldsV1]));
    }

    apply(name: string, config: JsonObject, force = false): void {
      this.#second += 1;
      const { object, managedFields } = manager.apply(this.object, config, {
        manager: name,
        force,
        now: at(this.#second),
      });
      this.#store(object, managedFields);
    }

    update(name: string, next: JsonObject): void {
      this.#second += 1;
      this.#store(next, manager.update(this.object, next, { manager: name, now: at(this.#second) }));
    }

    #store(object: JsonObject, managedFields: unknown): void {
      const { managedFields: _, ...rest } = object.metadata as { managedFields?: unknown };
      const metadata = { ...rest, uid: '1' };
      this.object = { ...object, metadata: managedFields === undefined ? metadata : { ...metadata, managedFields } };
    }
  }

  const failure = (act: () => void): ApiError => {
    try {
      act();
    } catch (error) {
      if (error instanceof ApiError) return error;
      throw error;
    }
    throw new Error('it was not refused');
  };

  it('gives a creator all fields, the parents of them too, but no identity and no status', () => {
    const stored = new Stored();
    stored.update('a', { ...thing({ size: 1, tags: ['t'] }, { labels: { l: '1' } }), status: { phase: 'x' } });
    expect(stored.owners).to.deep.equal({
      a: {
        'f:metadata': { 'f:labels': { '.': {}, 'f:l': {} } },
        'f:spec': { '.': {}, 'f:size': {}, 'f:tags': { '.': {}, 'v:"t"': {} } },
      },
    });
  });

  it('gives an applier what he applied, and prunes what he no longer does unless somebody else has it', () => {
    const stored = new Stored();
    stored.apply('a', thing({ size: 1, colour: 'red', tags: ['x', 'y'], ports: [{ name: 'p', port: 1, host: 'h' }] }));
    stored.apply('b', thing({ colour: 'red', tags: ['y', 'z'], ports: [{ name: 'p', port: 1 }] }));
    stored.apply('a', thing({ tags: ['y'] }));
    expect(stored.spec).to.deep.equal({ colour: 'red', tags: ['y', 'z'], ports: [{ name: 'p', port: 1 }] });
    expect(stored.owners.a).to.deep.equal({ 'f:spec': { 'f:tags': { 'v:"y"': {} } } });
    expect(stored.owners.b).to.deep.equal({
      'f:spec': {
        'f:colour': {},
        'f:ports': { 'k:{"name":"p"}': { '.': {}, 'f:name': {}, 'f:port': {} } },
        'f:tags': { 'v:"y"': {}, 'v:"z"': {} },
      },
    });
  });

  it('owns atomic maps and lists as a whole', () => {
    const stored = new Stored();
    stored.apply('a', thing({ whole: { a: '1' }, list: ['x'] }));
    expect(stored.owners.a).to.deep.equal({ 'f:spec': { 'f:list': {}, 'f:whole': {} } });
    const error = failure(() => stored.apply('b', thing({ whole: { b: '1' }, list: ['x'] })));
    expect(error.message).to.equal('Apply failed with 1 conflict: conflict with "a": .spec.whole');
    stored.apply('b', thing({ whole: { b: '1' } }), true);
    expect(stored.spec).to.deep.equal({ whole: { b: '1' }, list: ['x'] });
  });

  it('tells conflicts with their managers and fields, and lets them be overridden', () => {
    const stored = new Stored();
    stored.apply('a', thing({ size: 1, colour: 'red' }));
    stored.update('b', { ...stored.object, spec: { size: 1, colour: 'red', list: ['x'] } });
    const change = thing({ size: 2, colour: 'blue', list: ['y'] });
    const error = failure(() => stored.apply('c', change));
    expect(error.message).to.equal(
      'Apply failed with 3 conflicts: conflicts with "a":\n- .spec.colour\n- .spec.size\nconflicts with "b" using example.com/v1:\n- .spec.list',
    );
    expect(error.code).to.equal(409);
    expect(error.details?.causes?.[2]).to.deep.equal({
      reason: 'FieldManagerConflict',
      message: 'conflict with "b" using example.com/v1',
      field: '.spec.list',
    });
    stored.apply('c', change, true);
    expect(Object.keys(stored.owners)).to.deep.equal(['c']);
  });

  it('changes a time only when what it stands for has changed', () => {
    const stored = new Stored();
    stored.apply('a', thing({ size: 1 }));
    const before = structuredClone(stored.object);
    stored.apply('a', thing({ size: 1 }));
    stored.update('b', stored.object);
    expect(stored.object).to.deep.equal(before);
  });

  it('merges the oldest updaters when there are more than ten', () => {
    const stored = new Stored();
    const spec = { size: 1 };
    for (let index = 0; index < 13; index += 1) {
      const labels = Object.fromEntries(Array.from({ length: index + 1 }, (_, label) => [`l${label}`, '1']));
      stored.update(`m${index}`, thing(spec, { uid: '1', labels, managedFields: metadataOf(stored).managedFields }));
    }
    const names = Object.keys(stored.owners);
    expect(names).to.have.length(10);
    expect(names[0]).to.equal('ancient-changes');
    expect(stored.owners['ancient-changes']).to.have.nested.property('f:metadata.f:labels.f:l3');
  });

  it('calls what was there before the first apply so, and gives up all ownership when asked to', () => {
    const stored = new Stored();
    stored.update('a', thing({ size: 1 }));
    stored.update('a', { ...stored.object, metadata: { name: 'x', uid: '1', managedFields: [{}] } });
    expect(stored.owners).to.deep.equal({});
    stored.update('a', thing({ size: 2 }, { uid: '1' }));
    expect(stored.owners).to.deep.equal({});
    stored.apply('b', thing({ colour: 'red' }));
    expect(stored.owners).to.have.all.keys('before-first-apply', 'b');
  });

  it('keeps what it knows when a client sends broken managedFields', () => {
    const stored = new Stored();
    stored.apply('a', thing({ size: 1 }));
    const { owners } = stored;
    const entry = { manager: 'x', operation: 'Apply', apiVersion, fieldsType: 'FieldsV1', fieldsV1: {} };
    for (const broken of [{ operation: 'Guess' }, { apiVersion: '' }, { fieldsType: 'V2' }, { fieldsV1: { a: 1 } }]) {
      const managedFields = [{ ...entry, ...broken }];
      stored.update('b', { ...stored.object, metadata: { name: 'x', uid: '1', managedFields } });
      expect(stored.owners, JSON.stringify(broken)).to.deep.equal(owners);
    }
  });

  it('lets kubectl take over what it has applied on the client’s side, and nothing else', () => {
    const annotation = 'kubectl.kubernetes.io/last-applied-configuration';
    const stored = new Stored();
    const last = JSON.stringify(thing({ size: 1, colour: 'red' }));
    stored.update('client', thing({ size: 1, colour: 'red' }, { annotations: { [annotation]: last } }));
    stored.update('other', { ...stored.object, spec: { size: 1, colour: 'blue' } });
    const error = failure(() => stored.apply('kubectl', thing({ size: 2, colour: 'green' })));
    expect(error.message).to.equal(
      'Apply failed with 1 conflict: conflict with "other" using example.com/v1: .spec.colour',
    );
    stored.apply('kubectl', thing({ size: 2 }));
    expect(stored.spec).to.deep.equal({ size: 2, colour: 'blue' });
    const { annotations } = metadataOf(stored) as { annotations: Record<string, string> };
    expect(JSON.parse(annotations[annotation] ?? '')).to.deep.equal(thing({ size: 2 }));
  });

  it('refuses configurations that are none of its kind, naming the field', () => {
    const stored = new Stored();
    const said = (config: JsonObject) => failure(() => stored.apply('a', config)).message;
    const prefix = 'failed to create typed patch object (/x; example.com/v1, Kind=Thing): ';
    expect(said({ ...thing(), kind: 'Other' })).to.equal('invalid object type: example.com/v1, Kind=Other');
    expect(said({})).to.equal('invalid object type: /, Kind=');
    expect(said(thing({}, { managedFields: [] }))).to.equal('metadata.managedFields must be nil');
    expect(said(thing({ speed: 1 }))).to.equal(`${prefix}.spec.speed: field not declared in schema`);
    expect(said(thing({ size: 'big' }))).to.equal(`${prefix}.spec.size: expected numeric (int or float), got string`);
    expect(said(thing({ tags: ['a', 'a'] }))).to.equal(`${prefix}.spec.tags: duplicate entries for key [="a"]`);
    expect(said(thing({ ports: [{ port: 1 }] }))).to.contain('omits all key fields ["name"]');
    expect(said(thing({ size: true, colour: 1 }))).to.contain('errors:\n  .spec.size: ');
  });

  function metadataOf(stored: Stored): { managedFields?: unknown } {
    return (stored.object.metadata ?? {}) as { managedFields?: unknown };
  }
});
