import type { Session } from '../../../../apis/v1alpha1/types.ts';
import { differencesBetween } from '../../differential/support/differences.ts';
import { Side } from '../../differential/support/side.ts';
import type { Wire, WireAnswer, WireRequest } from '../../differential/support/wire.ts';
import type { Write } from './writes.ts';

const json = { 'content-type': 'application/json', 'user-agent': 'oracle/1' };

const mostAttempts = 20;

/** Where a Session and its twin differ in their answers to a sequence of writes, and in the end. */
export async function differencesAfter(
  wire: Wire,
  writes: readonly Write[],
  { owners, ...at }: { namespace: string; name: string; owners: Readonly<Record<string, string>> },
): Promise<string[]> {
  const owned = withUids(writes, owners);
  const [session, twin] = await Promise.all([
    replay(wire, owned, new Side('session', at)),
    replay(wire, owned, new Side('twin', at)),
  ]);
  const differences = differencesBetween(session, twin);
  return differences;
}

async function replay(wire: Wire, writes: readonly Write[], side: Side): Promise<unknown[]> {
  const answers: unknown[] = [];
  for (const write of writes) {
    const answer = await sent(wire, write, side);
    answers.push(shown(answer, side));
  }
  answers.push(shown(await wire.send({ method: 'GET', path: side.item() }), side));
  await remove(wire, side);
  return answers;
}

/** Controllers write status between the read and the write of an update; then it is made again. */
async function sent(wire: Wire, write: Write, side: Side): Promise<WireAnswer> {
  for (let attempt = 1; ; attempt += 1) {
    const answer = await wire.send(await requestOf(wire, write, side));
    const isOutrun = answer.status === 409 && answer.text.includes('the object has been modified');
    if (!isOutrun || attempt === mostAttempts) return answer;
  }
}

async function requestOf(wire: Wire, write: Write, side: Side): Promise<WireRequest> {
  const query = { fieldManager: write.manager };
  switch (write.verb) {
    case 'create':
      return { method: 'POST', path: side.collection, query, headers: json, body: manifest(side, write.wanted) };
    case 'update': {
      const current = await wire.send({ method: 'GET', path: side.item() });
      const { resourceVersion = '' } = current.status === 200 ? (JSON.parse(current.text) as Session).metadata : {};
      const { metadata, ...rest } = manifest(side, write.wanted);
      const body = { ...rest, metadata: { ...metadata, resourceVersion } };
      return { method: 'PUT', path: side.item(), query, headers: json, body };
    }
    case 'merge':
      return { ...patchOf(side, 'merge-patch+json'), query, body: write.patch };
    case 'json':
      return { ...patchOf(side, 'json-patch+json'), query, body: write.operations };
    case 'apply':
      return {
        ...patchOf(side, 'apply-patch+yaml'),
        query: { ...query, ...(write.force ? { force: 'true' } : {}) },
        body: manifest(side, write.wanted),
      };
  }
}

function patchOf(side: Side, type: string): Pick<WireRequest, 'method' | 'path' | 'headers'> {
  return { method: 'PATCH', path: side.item(), headers: { ...json, 'content-type': `application/${type}` } };
}

function manifest(
  side: Side,
  wanted: { metadata: object; spec: object },
): { metadata: object; [name: string]: unknown } {
  return {
    apiVersion: side.apiVersion,
    kind: 'Session',
    metadata: { name: side.name, ...wanted.metadata },
    spec: wanted.spec,
  };
}

/** Both orders of managers of one conflict are right: kube-apiserver's own follows from a map. */
function shown({ status, text }: WireAnswer, side: Side): unknown {
  const value = JSON.parse(text.replaceAll(side.group, 'GROUP')) as Session & Failure;
  if (status >= 300) {
    leaveOutRules(value);
    value.details?.causes?.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
    return { status, error: value };
  }
  const { uid: _uid, resourceVersion: _version, creationTimestamp: _created, ...metadata } = value.metadata;
  const managedFields = metadata.managedFields?.map((entry) => timeless(entry as { time?: string })).sort();
  return { status, metadata: { ...metadata, managedFields }, spec: value.spec };
}

/** An entry without its time: only whether it has one is told. Times order entries, and a second may have passed. */
function timeless({ time, ...entry }: { time?: string }): string {
  return JSON.stringify({ ...sorted(entry), timed: time !== undefined });
}

function sorted(value: object): object {
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, member]) => [
        name,
        typeof member === 'object' && member !== null ? sorted(member as object) : member,
      ]),
  );
}

/** Finalizers that nobody removes would keep the namespace from going away. */
async function remove(wire: Wire, side: Side): Promise<void> {
  await wire.send({
    ...patchOf(side, 'merge-patch+json'),
    body: { metadata: { finalizers: null } },
  });
  await wire.send({ method: 'DELETE', path: side.item() });
}

function withUids(writes: readonly Write[], owners: Readonly<Record<string, string>>): Write[] {
  const text = JSON.stringify(writes).replaceAll(
    /"uid":"([^"]+)"/g,
    (_, name: string) => `"uid":"${owners[name] ?? name}"`,
  );
  return JSON.parse(text) as Write[];
}

interface Failure {
  message?: string;
  details?: { causes?: { field?: string; message: string }[] };
}

/** The twin has rules in CEL, and says of each object that is invalid otherwise that these were not tried. */
function leaveOutRules(failure: Failure): void {
  const { details } = failure;
  const causes = details?.causes?.filter(({ field }) => field !== '<nil>');
  if (details?.causes === undefined || causes?.length === details.causes.length) return;
  details.causes = causes ?? [];
  const texts = details.causes.map(({ field, message }) => `${field}: ${message}`);
  const prefix = failure.message?.replace(/ is invalid: .*$/, ' is invalid: ') ?? '';
  failure.message = prefix + (texts.length === 1 ? texts[0] : `[${texts.join(', ')}]`);
}
