import type { NormalAnswer } from '../support/normalize.ts';
import { create, createRaw, json, mergePatch, yaml } from '../support/requests.ts';
import { last, words } from '../support/shown.ts';
import type { Difference } from './difference.ts';

const nested = (depth: number) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;

const causes = (answers: readonly NormalAnswer[]) =>
  (last(answers).body as { details: { causes: { message: string }[] } }).details.causes;

const unrecognized = 'the object provided is unrecognized (must be of type Session): yaml: line 1:';
const wrongDuration = 'Session.GROUP "NAME" is invalid: spec.idleTimeout: Invalid value: "soon":';

/** What differs in how a body is taken. */
export const bodies = {
  size: {
    cases: {
      'a create of 17,000 bytes': {
        requests: [create({ metadata: { annotations: { big: 'x'.repeat(17_000) } } })],
        shown: { session: '422 Invalid', twin: '201 Session' },
      },
    },
  },
  yaml: {
    cases: {
      'a create in malformed YAML': {
        requests: [createRaw('a: [', { headers: yaml })],
        shown: {
          of: (answers) => words(answers).replace(/ \([0-9a-f]+\)$/, ''),
          session: `400 BadRequest: ${unrecognized} Flow sequence in block collection must be sufficiently indented and end with a ]`,
          twin: `400 BadRequest: ${unrecognized} did not find expected node content`,
        },
      },
      'a create of 65 KiB of YAML': {
        requests: [create({ metadata: { annotations: { big: 'x'.repeat(65 * 1024) } } }, {}, 'YAML')],
        shown: { session: '400 BadRequest', twin: '201 Session' },
      },
    },
  },
  words: {
    cases: {
      'a create with a malformed time limit': {
        requests: [create({ spec: { idleTimeout: 'soon' } })],
        shown: {
          of: words,
          session: `422 Invalid: ${wrongDuration} must be a duration such as 30s or 15m`,
          twin: `422 Invalid: ${wrongDuration} spec.idleTimeout in body should match '^([0-9]+(\\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$'`,
        },
      },
    },
  },
  nesting: {
    cases: {
      'a body nested 1,500 levels deep': {
        requests: [
          createRaw((side) => JSON.stringify(side.manifest({ spec: {} })).replace(/\}$/, `,"x":${nested(1500)}}`)),
        ],
        shown: { session: '400 BadRequest', twin: '201 Session' },
      },
      'a merge patch nested 100 levels deep': {
        given: {},
        requests: [
          (side) => ({
            method: 'PATCH',
            path: side.item(),
            headers: mergePatch,
            body: `{"spec":{"x":${nested(100)}}}`,
          }),
        ],
        shown: { session: '400 BadRequest', twin: '200 Session' },
      },
    },
  },
  causes: {
    cases: {
      'a create with 70 faults': {
        requests: [
          create({ metadata: { labels: Object.fromEntries(Array.from({ length: 70 }, (_, i) => [`_${i}`, 'x'])) } }),
        ],
        shown: { of: (answers) => causes(answers).length, session: 64, twin: 70 },
      },
      'a create with a value of 400 characters that is none': {
        requests: [create({ metadata: { labels: { long: 'x'.repeat(400) } } })],
        shown: {
          of: (answers) => causes(answers).map(({ message }) => /x+/.exec(message)?.[0].length),
          session: [256],
          twin: [400],
        },
      },
    },
  },
  namedCreate: {
    cases: {
      "a create by a path of another name than the body's": {
        requests: [(side) => ({ method: 'POST', path: side.item('another'), headers: json, body: side.manifest() })],
        shown: { session: '400 BadRequest', twin: '201 Session' },
      },
    },
  },
} satisfies Record<string, Difference>;
