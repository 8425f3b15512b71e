import type { ObjectMeta, WatchEventType } from '../../apis/machinery/meta.ts';
import { groupVersion, kind } from '../../apis/names.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import type { Representation } from '../http/negotiation.ts';
import { bookmarkTable, type IncludeObject, partialObject, sessionTable } from '../sessions/table.ts';

/** How one watch wants its events. */
export interface WatchFormat extends Representation {
  includeObject: IncludeObject;
}

/**
 * Encodes watch events, each once per format: a thousand watchers of one kind are sent the same bytes.
 * Encodings live as long as the projected object they encode.
 */
export class EventEncoder {
  readonly #encoded = new WeakMap<Session, Map<string, Buffer>>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** One event as a line. Tables carry their columns with the first event of a watch only. */
  event(type: WatchEventType, session: Session, format: WatchFormat, columns: 'include' | 'omit'): Buffer {
    const key = `${type} ${format.shape} ${format.metaVersion}`;
    // A Table's cells tell the time: one that was encoded for the event would tell a later watch that moment's.
    if (format.shape === 'table') return encode(type, this.#shape(session, format, columns));
    const variants = this.#encoded.get(session) ?? new Map<string, Buffer>();
    this.#encoded.set(session, variants);
    const line = variants.get(key) ?? encode(type, this.#shape(session, format, columns));
    variants.set(key, line);
    return line;
  }

  /** A BOOKMARK: an object of nothing but its resourceVersion (and, once, the mark that initial events are over). */
  bookmark(
    resourceVersion: bigint,
    format: WatchFormat,
    options: { columns: 'include' | 'omit'; initialEventsEnd: boolean },
  ): Buffer {
    const metadata: ObjectMeta = {
      resourceVersion: String(resourceVersion),
      creationTimestamp: null,
      // client-go waits for exactly this annotation (KEP-3157).
      ...(options.initialEventsEnd ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {}),
    };
    if (format.shape === 'partial') return encode('BOOKMARK', partialObject(metadata, format.metaVersion));
    if (format.shape === 'table') {
      const table = bookmarkTable(metadata, { ...format, columnDefinitions: options.columns, now: this.#now() });
      return encode('BOOKMARK', table);
    }
    return encode('BOOKMARK', { kind, apiVersion: groupVersion, metadata, spec: {} });
  }

  #shape(session: Session, format: WatchFormat, columns: 'include' | 'omit'): object {
    if (format.shape === 'object') return session;
    if (format.shape === 'partial') return partialObject(session.metadata, format.metaVersion);
    const metadata = { resourceVersion: session.metadata.resourceVersion ?? '' };
    return sessionTable([session], metadata, { ...format, columnDefinitions: columns, now: this.#now() });
  }
}

/** One watch event as a line of JSON. */
export function encode(type: WatchEventType, object: object): Buffer {
  return Buffer.from(`${JSON.stringify({ type, object })}\n`);
}
