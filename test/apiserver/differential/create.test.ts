import { useCluster } from '../../support/cluster.ts';
import { compareCases, type DifferentialCase, type MeantDifference } from './support/compare.ts';
import type { NormalAnswer } from './support/normalize.ts';
import { newObjects } from './support/objects.ts';
import { create, createRaw, type Format, json, read, table, yaml } from './support/requests.ts';
import { last, outcome, words } from './support/shown.ts';

const objects = (format: Format): DifferentialCase[] =>
  Object.entries(newObjects).map(([name, change]) => ({
    name: `a create (${format}) ${name}`,
    requests: [create(change, {}, format)],
    ...(meant[name] === undefined ? {} : { differs: meant[name] }),
  }));

/** The outcome and its causes, up to the rule that they quote. */
const causes = (answers: readonly NormalAnswer[]) => {
  const { details } = last(answers).body as { details: { causes: { field: string; message: string }[] } };
  const all = details.causes.map(({ field, message }) => `${field}: ${message.replace(/ must consist .*$/s, '')}`);
  // A CRD invents a name, and tells it.
  return [outcome(answers), ...all.map((cause) => cause.replace(/"Upper-\w{5}"/, '"Upper-…"'))];
};

const wrongLimit = '422 Invalid: Session.GROUP "NAME" is invalid: spec.idleTimeout: Invalid value: "soon":';

/** What is meant to differ. */
const meant: Readonly<Record<string, MeantDifference>> = {
  'with a name of capitals': {
    row: 'names',
    of: causes,
    session: ['422 Invalid', 'metadata.name: Invalid value: "Upper": a lowercase RFC 1123 label'],
    twin: ['422 Invalid', 'metadata.name: Invalid value: "Upper": a lowercase RFC 1123 subdomain'],
  },
  'with a malformed beginning of names': {
    row: 'names',
    of: causes,
    session: ['422 Invalid', 'metadata.generateName: Invalid value: "Upper-": a lowercase RFC 1123 label'],
    twin: [
      '422 Invalid',
      'metadata.generateName: Invalid value: "Upper-": a lowercase RFC 1123 subdomain',
      'metadata.name: Invalid value: "Upper-…": a lowercase RFC 1123 subdomain',
    ],
  },
  'with a malformed time limit': {
    row: 'words',
    of: words,
    session: `${wrongLimit} must be a duration such as 30s or 15m`,
    twin: `${wrongLimit} spec.idleTimeout in body should match '^([0-9]+(\\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$'`,
  },
};

const accepted = (accept: string) => create({}, { headers: { accept } });
const asked = (query: Record<string, string | string[]> | string) =>
  create({ metadata: { color: 'red' }, spec: { color: 'red' } }, { query });
const sent = (type: string) => create({}, { headers: { 'content-type': type } });
const twice = '"suspended":true,"suspended":true';
const raw = (spec: string) => (side: { apiVersion: string; name: string }) =>
  `{"apiVersion":"${side.apiVersion}","kind":"Session","metadata":{"name":"${side.name}"},"spec":{"runtimeRef":{"kind":"CodeInterpreter","name":"none"},${spec}}}`;

describe('creates of sessions and of their twin', () => {
  const env = useCluster();
  compareCases(env, [
    ...objects('JSON'),
    ...objects('YAML'),
    ...table('a create', {
      'of a name that is taken': { given: {}, requests: [create()] },
      'of a name that is taken, tried only': { given: {}, requests: [create({}, { query: { dryRun: 'All' } })] },
      'that is only tried leaves nothing': [create({}, { query: { dryRun: 'All' } }), read()],
      'that is only tried, with a generated name': create(
        (side) => ({ metadata: { name: undefined, generateName: `${side.name}-` } }),
        {
          query: { dryRun: 'All' },
        },
      ),
      'under an item': (side) => ({ method: 'POST', path: side.item(), headers: json, body: side.manifest() }),
      'in a namespace that is not there': (side) => ({
        method: 'POST',
        path: side.collection.replace(side.namespace, 'nowhere'),
        headers: json,
        body: side.manifest(),
      }),
    }),
    ...table('a subresource', {
      'that there is not': { given: {}, requests: [(side) => ({ method: 'GET', path: `${side.item()}/bogus` })] },
    }),
    ...table('a create of a body', {
      'that is empty': createRaw(''),
      'that is null': createRaw('null'),
      'that is a list': createRaw('[]'),
      'that is text': createRaw('"text"'),
      'that is a number': createRaw('1'),
      'that is an empty object': createRaw('{}'),
      'that ends early': createRaw('{"metadata":{"name":"a"'),
      'that has something behind it': createRaw((side) => `${JSON.stringify(side.manifest())} more`),
      'that is no JSON': createRaw("{'a': 1}"),
      'that is YAML but said to be JSON': createRaw('metadata:\n  name: a\n'),
      'with a field twice': createRaw(raw(twice)),
      'with a field twice, under Strict': createRaw(raw(twice), {
        headers: json,
        query: { fieldValidation: 'Strict' },
      }),
      'with a field twice, under Ignore': createRaw(raw(twice), {
        headers: json,
        query: { fieldValidation: 'Ignore' },
      }),
      'with fields twice and unknown ones, under Strict': createRaw(raw(`${twice},"a":1,"a":2,"b":{"c":1,"c":1}`), {
        headers: json,
        query: { fieldValidation: 'Strict' },
      }),
      'with a label twice': createRaw(
        (side) =>
          `{"apiVersion":"${side.apiVersion}","kind":"Session","metadata":{"name":"${side.name}","labels":{"a":"1","a":"2"}},"spec":{"suspended":true,"runtimeRef":{"kind":"CodeInterpreter","name":"none"}}}`,
      ),
      'that is nested too deep': createRaw(`{"spec":${'['.repeat(10_001)}${']'.repeat(10_001)}}`),
      'above three megabytes': createRaw(`{"a":"${'x'.repeat(3 * 1024 * 1024)}"}`),
      'with a member named __proto__': createRaw(raw('"suspended":true,"__proto__":{"idleTimeout":"1h"}')),
      'in YAML that is empty': createRaw('', { headers: yaml }),
      'in YAML that is a scalar': createRaw('hello', { headers: yaml }),
      'in YAML that is JSON': createRaw((side) => JSON.stringify(side.manifest()), { headers: yaml }),
      'in YAML with a field twice': createRaw(
        (side) =>
          `apiVersion: ${side.apiVersion}\nkind: Session\nmetadata:\n  name: ${side.name}\nspec:\n  suspended: yes\n  suspended: on\n  runtimeRef: {kind: CodeInterpreter, name: none}\n`,
        { headers: yaml },
      ),
      'in YAML with a field twice, under Strict': createRaw(
        (side) =>
          `apiVersion: ${side.apiVersion}\nkind: Session\nmetadata:\n  name: ${side.name}\nspec:\n  suspended: yes\n  suspended: on\n  runtimeRef: {kind: CodeInterpreter, name: none}\n`,
        { headers: yaml, query: { fieldValidation: 'Strict' } },
      ),
      'in YAML with anchors': createRaw(
        (side) =>
          `apiVersion: ${side.apiVersion}\nkind: Session\nmetadata:\n  name: ${side.name}\n  labels: &l {a: b}\n  annotations: *l\nspec:\n  suspended: y\n  runtimeRef: {kind: CodeInterpreter, name: none}\n`,
        { headers: yaml },
      ),
      'in YAML with a merge key': createRaw(
        (side) =>
          `apiVersion: ${side.apiVersion}\nkind: Session\nmetadata:\n  name: ${side.name}\n  labels: &l {a: b}\n  annotations: {<<: *l, c: d}\nspec:\n  suspended: true\n  runtimeRef: {kind: CodeInterpreter, name: none}\n`,
        { headers: yaml },
      ),
      'in YAML with labels of other types': createRaw(
        (side) =>
          `apiVersion: ${side.apiVersion}\nkind: Session\nmetadata:\n  name: ${side.name}\n  labels: {a: on}\nspec:\n  suspended: true\n  runtimeRef: {kind: CodeInterpreter, name: none}\n`,
        { headers: yaml },
      ),
      'in YAML with a second document': createRaw(
        (side) =>
          `apiVersion: ${side.apiVersion}\nkind: Session\nmetadata:\n  name: ${side.name}\nspec:\n  suspended: true\n  runtimeRef: {kind: CodeInterpreter, name: none}\n---\nkind: Other\n`,
        { headers: yaml },
      ),
    }),
    ...table('a create sent as', {
      'JSON with a charset': sent('application/json; charset=utf-8'),
      'JSON in capitals': sent('Application/JSON'),
      nothing: (side) => ({ method: 'POST', path: side.collection, body: side.manifest() }),
      text: sent('text/plain'),
      CBOR: sent('application/cbor'),
      'a merge patch': sent('application/merge-patch+json'),
      'a malformed type': sent('json'),
      'JSON with malformed parameters': sent('application/json; charset'),
    }),
    ...table('a create that accepts', {
      YAML: accepted('application/yaml'),
      anything: accepted('*/*'),
      'any application': accepted('application/*'),
      'protobuf, then JSON': accepted('application/vnd.kubernetes.protobuf,application/json'),
      CBOR: accepted('application/cbor'),
      text: accepted('text/html'),
      'YAML a little more': accepted('application/json;q=0.1,application/yaml;q=0.9'),
      'only its metadata': accepted('application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1'),
      'only its metadata in an unknown version': accepted(
        'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v7',
      ),
      'indented JSON': accepted('application/json;pretty=1'),
      'JSON with unknown parameters': accepted('application/json;charset=utf-8;x=y'),
      'a stream of watches': accepted('application/json;stream=watch'),
      'nothing at all': accepted(''),
      'something malformed': accepted('json'),
      'JSON indented, by a parameter': create({}, { query: { pretty: 'true' } }),
      'JSON indented, by a malformed parameter': create({}, { query: { pretty: 'perhaps' } }),
      'JSON, as curl': create({}, { headers: { 'user-agent': 'curl/8' } }),
      'JSON, as curl that wants it dense': create({}, { headers: { 'user-agent': 'curl/8' }, query: { pretty: '0' } }),
      'JSON, as a browser': create({}, { headers: { 'user-agent': 'Mozilla/5.0 (X11)' } }),
      'YAML, and is refused': create({ spec: { idleAction: 'Explode' } }, { headers: { accept: 'application/yaml' } }),
      'a Table, and is refused': create(
        { spec: { idleAction: 'Explode' } },
        { headers: { accept: 'application/json;as=Table;g=meta.k8s.io;v=v1' } },
      ),
      'indented JSON, and is refused': create({ spec: { idleAction: 'Explode' } }, { query: { pretty: '1' } }),
    }),
    ...table('a create with the options', {
      'fieldValidation Strict': asked({ fieldValidation: 'Strict' }),
      'fieldValidation Ignore': asked({ fieldValidation: 'Ignore' }),
      'fieldValidation Warn': asked({ fieldValidation: 'Warn' }),
      'fieldValidation unknown': asked({ fieldValidation: 'Sometimes' }),
      'fieldValidation empty': asked({ fieldValidation: '' }),
      'fieldValidation in small letters': asked({ fieldValidation: 'strict' }),
      'dryRun unknown': asked({ dryRun: 'Some' }),
      'dryRun empty': asked({ dryRun: '' }),
      'dryRun twice': asked({ dryRun: ['All', 'All'] }),
      'dryRun twice, once unknown': asked({ dryRun: ['All', 'Some'] }),
      fieldManager: asked({ fieldManager: 'me' }),
      'fieldManager too long': asked({ fieldManager: 'm'.repeat(129) }),
      'fieldManager unprintable': asked({ fieldManager: 'a\u0001b\n' }),
      'fieldManager of other letters': asked({ fieldManager: 'größe 世界' }),
      'all of them wrong': asked({ fieldManager: 'a\tb', dryRun: 'x', fieldValidation: 'y' }),
      unknown: asked({ color: 'red' }),
      timeout: asked({ timeout: '10s' }),
      'timeout malformed': asked({ timeout: 'soon' }),
      'wrong, and a body that is wrong too': createRaw('{', { headers: json, query: { dryRun: 'x' } }),
      'wrong, and a type that is wrong too': create(
        {},
        { headers: { 'content-type': 'text/plain' }, query: { dryRun: 'x' } },
      ),
      'wrong, and an Accept that is wrong too': create(
        {},
        { headers: { accept: 'text/html' }, query: { dryRun: 'x' } },
      ),
    }),
  ]);
});
