import { hasReason } from '../../apis/machinery/errors.ts';
import { type LabelRequirement, parseLabelSelector } from '../../apis/machinery/label-selector.ts';
import { group, resource, version } from '../../apis/names.ts';
import type { ResourceAttributes, SelectorRequirement } from '../../proxy/access/authorize.ts';
import type { ResourceRequest, Verb } from '../http/request-info.ts';

/** Verbs of which the review says what is selected (k8s.io/apiserver/pkg/endpoints/request/requestinfo.go). */
const selecting: ReadonlySet<Verb> = new Set<Verb>(['list', 'watch', 'deletecollection']);

/**
 * What is asked of kube-apiserver's authorizers about a request, as kube-apiserver itself would ask
 * (k8s.io/apiserver/pkg/endpoints/filters/authorization.go, plugin/pkg/authorizer/webhook/webhook.go): with the selectors,
 * so that a policy that allows a selection only is a right here too. A selector that cannot be parsed is left out, which
 * asks for more.
 */
export function reviewAttributes(info: ResourceRequest): ResourceAttributes {
  const attributes: ResourceAttributes = { verb: info.verb, group, version, resource };
  if (info.namespace !== undefined) attributes.namespace = info.namespace;
  if (info.name !== undefined) attributes.name = info.name;
  if (info.subresource !== undefined) attributes.subresource = info.subresource;
  if (!selecting.has(info.verb)) return attributes;
  const fields = fieldRequirements(info.query.get('fieldSelector') ?? '');
  const labels = labelRequirements(info.query.get('labelSelector') ?? '');
  if (fields.length > 0) attributes.fieldSelector = fields;
  if (labels.length > 0) attributes.labelSelector = labels;
  return attributes;
}

const fieldOperators = ['!=', '==', '='] as const;

/** k8s.io/apimachinery/pkg/fields/selector.go, of whatever fields. */
function fieldRequirements(text: string): SelectorRequirement[] {
  const terms = splitTerms(text).sort();
  const found: SelectorRequirement[] = [];
  for (const term of terms) {
    const at = term.search(/!=|=/);
    const operator = fieldOperators.find((candidate) => at !== -1 && term.startsWith(candidate, at));
    const value = operator === undefined ? undefined : unescapeValue(term.slice(at + operator.length));
    if (value === undefined) return [];
    found.push({ key: term.slice(0, at), operator: operator === '!=' ? 'NotIn' : 'In', values: [value] });
  }
  return found;
}

/** Splits at the commas that no backslash escapes. */
function splitTerms(text: string): string[] {
  const terms: string[] = [];
  let start = 0;
  for (let at = 0; at <= text.length; at += 1) {
    if (text[at] === '\\') at += 1;
    else if (at === text.length || text[at] === ',') {
      if (at > start) terms.push(text.slice(start, at));
      start = at + 1;
    }
  }
  // A backslash at the very end escapes nothing.
  if (start < text.length) terms.push(text.slice(start));
  return terms;
}

/** Undefined for an escape that nobody knows, and for a character that must be escaped and is not. */
function unescapeValue(text: string): string | undefined {
  if (!/^(?:\\[\\,=]|[^\\,=])*$/s.test(text)) return undefined;
  return text.replace(/\\(.)/gs, '$1');
}

const labelOperators: Partial<Record<LabelRequirement['operator'], SelectorRequirement['operator']>> = {
  '=': 'In',
  '==': 'In',
  in: 'In',
  '!=': 'NotIn',
  notin: 'NotIn',
  exists: 'Exists',
  '!': 'DoesNotExist',
};

function labelRequirements(text: string): SelectorRequirement[] {
  if (text === '') return [];
  let parsed: LabelRequirement[];
  try {
    parsed = parseLabelSelector(text);
  } catch (error) {
    if (hasReason(error, 'BadRequest')) return [];
    throw error;
  }
  const sorted = parsed.toSorted((one, other) => (one.key < other.key ? -1 : Number(one.key > other.key)));
  return sorted.flatMap(({ key, operator, values }) => {
    const word = labelOperators[operator];
    // kube-apiserver leaves comparisons out too: requirements only narrow.
    if (word === undefined) return [];
    return [word === 'In' || word === 'NotIn' ? { key, operator: word, values } : { key, operator: word }];
  });
}
