import { kind, resource, group as sessionGroup, version } from '../../../../apis/names.ts';
import type { Session } from '../../../../apis/v1alpha1/types.ts';
import { twinGroup } from '../../../../hack/twin/definition.ts';
import type { WireAnswer } from './wire.ts';

export type SideName = 'session' | 'twin';

/** One of the two resources, as the requests of a case see it. */
export class Side {
  readonly side: SideName;
  readonly group: string;
  readonly namespace: string;
  /** A name that no other case has; the same on both sides. */
  readonly name: string;
  /** Of this case's requests so far. */
  readonly answers: WireAnswer[] = [];
  /** What the case asked to be there; set before its first request. */
  given: Session | undefined;

  constructor(side: SideName, { namespace, name }: { namespace: string; name: string }) {
    this.side = side;
    this.group = side === 'session' ? sessionGroup : twinGroup;
    this.namespace = namespace;
    this.name = name;
  }

  get apiVersion(): string {
    return `${this.group}/${version}`;
  }

  /** Path of the collection in the namespace. */
  get collection(): string {
    return `/apis/${this.apiVersion}/namespaces/${this.namespace}/${resource}`;
  }

  /** Path of the object that the case is about, or of another one. */
  item(name = this.name): string {
    return `${this.collection}/${name}`;
  }

  /** Path of the collection across namespaces. */
  get everywhere(): string {
    return `/apis/${this.apiVersion}/${resource}`;
  }

  /** A valid object of the case's name, changed by `change` (members of metadata and spec are merged). */
  manifest(change: { metadata?: object; spec?: object; [name: string]: unknown } = {}): Record<string, unknown> {
    const { metadata, spec, ...rest } = change;
    return {
      apiVersion: this.apiVersion,
      kind,
      metadata: { name: this.name, ...metadata },
      // Held, so that no Pod is started for it.
      spec: { runtimeRef: { kind: 'CodeInterpreter', name: 'none' }, suspended: true, ...spec },
      ...rest,
    };
  }

  /** What was given or answered last, as JSON. */
  get object(): Session {
    const last = this.answers.at(-1);
    if (last !== undefined) return JSON.parse(last.text) as Session;
    if (this.given === undefined) throw new Error('the case has no object yet: name one in `given`');
    return this.given;
  }
}
