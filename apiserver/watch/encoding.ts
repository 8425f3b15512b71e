import { LRUCache } from 'lru-cache';
import type { ObjectMeta, WatchEventType } from '../../apis/machinery/meta.ts';
import { groupVersion, kind } from '../../apis/names.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import type { Representation } from '../http/negotiation.ts';
import { bookmarkTable, type IncludeObject, partialObject, sessionTable } from '../sessions/table.ts';

/** How one watch wants its events. */
export interface WatchFormat extends Pick<Representation, 'shape' | 'metaVersion'> {
  includeObject: IncludeObject;
}

/** Bytes of encoded events that are remembered. */
const mostBytes = 32 * 1024 * 1024;
/** What an entry costs besides its bytes, about. */
const entryBytes = 200;

interface Encoded {
  line: Buffer;
  /** When a Table was encoded, in seconds. */
  second: number;
}

/**
 * Encodes watch events, each once per format: a thousand watchers of one kind are sent the same bytes. The cells of a Table
 * tell the clock in whole seconds, so it is encoded once for all who are sent it in that second.
 */
export class EventEncoder {
  readonly #encoded = new WeakMap<Session, Map<string, Encoded>>();
  /** Forgets the oldest when there are too many: by the weak map alone, encodings would stay for as long as sessions live. */
  readonly #remembered = new LRUCache<Encoded, () => void>({
    maxSize: mostBytes,
    sizeCalculation: (_forget, { line }) => line.length + entryBytes,
    dispose: (forget) => forget(),
  });
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** One event as a line. Tables carry their columns with the first event of a watch only. */
  event(type: WatchEventType, session: Session, format: WatchFormat, columns: 'include' | 'omit'): Buffer {
    const key = variantOf(type, format, columns);
    const second = format.shape === 'table' ? Math.floor(this.#now() / 1000) : 0;
    const variants = this.#encoded.get(session) ?? new Map<string, Encoded>();
    const known = variants.get(key);
    if (known?.second === second) return known.line;
    if (known !== undefined) this.#remembered.delete(known);
    const encoded = { line: encode(type, this.#shape(session, format, columns)), second };
    variants.set(key, encoded);
    this.#encoded.set(session, variants);
    this.#remembered.set(encoded, () => {
      if (variants.get(key) === encoded) variants.delete(key);
    });
    return encoded.line;
  }

  /** A BOOKMARK: an object of nothing but its resourceVersion (and, once, the mark that initial events are over). */
  bookmark(
    resourceVersion: bigint,
    format: WatchFormat,
    options: { columns: 'include' | 'omit'; initialEventsEnd: boolean },
  ): Buffer {
    const metadata: ObjectMeta = {
      resourceVersion: String(resourceVersion),
      // client-go waits for exactly this annotation (KEP-3157).
      ...(options.initialEventsEnd ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {}),
    };
    const bookmark = { kind, apiVersion: groupVersion, metadata };
    if (format.shape === 'object') return encode('BOOKMARK', bookmark);
    if (format.shape !== 'table') return encode('BOOKMARK', partialObject(metadata, format.metaVersion));
    return encode(
      'BOOKMARK',
      bookmarkTable(bookmark, { ...format, columnDefinitions: options.columns, now: this.#now() }),
    );
  }

  #shape(session: Session, format: WatchFormat, columns: 'include' | 'omit'): object {
    if (format.shape === 'object') return session;
    // An event holds one object, also for whoever asks for lists.
    if (format.shape !== 'table') return partialObject(session.metadata, format.metaVersion);
    const metadata = { resourceVersion: session.metadata.resourceVersion ?? '' };
    return sessionTable([session], metadata, { ...format, columnDefinitions: columns, now: this.#now() });
  }
}

/** What makes two encodings of one object differ. */
function variantOf(type: WatchEventType, { shape, metaVersion, includeObject }: WatchFormat, columns: string): string {
  if (shape === 'object') return type;
  return shape !== 'table' ? `${type} ${metaVersion}` : `${type} ${metaVersion} ${includeObject} ${columns}`;
}

/** One watch event as a line of JSON. */
export function encode(type: WatchEventType, object: object): Buffer {
  const text = `${JSON.stringify({ type, object })}\n`;
  // Memory of its own: a remembered line out of Node's pool would hold on to 8 KiB, most of which is nobody's.
  const line = Buffer.allocUnsafeSlow(Buffer.byteLength(text));
  line.write(text);
  return line;
}
