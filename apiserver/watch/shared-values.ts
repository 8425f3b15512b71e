import type { Condition } from '../../apis/machinery/meta.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';

/** So many different values are remembered; what is more than that is likely to be different in every session. */
const mostValues = 8_192;

/**
 * Lets sessions of the same runtime and user have in common what is equal in them: of thousands, most say the same. What it
 * returns must not be changed, as nothing of a cache must.
 */
export class SharedValues {
  readonly #values = new Map<string, unknown>();

  /** An equal session whose parts may be those of others. */
  share(session: Session): Session {
    const { metadata, spec, status } = session;
    const namespace = metadata.namespace === undefined ? {} : { namespace: this.#same(metadata.namespace) };
    if (status === undefined) return { ...session, metadata: { ...metadata, ...namespace }, spec: this.#equal(spec) };
    const { conditions, user, endpoints } = status;
    return {
      ...session,
      metadata: { ...metadata, ...namespace },
      spec: this.#equal(spec),
      status: {
        ...status,
        ...(conditions === undefined ? {} : { conditions: conditions.map((condition) => this.#condition(condition)) }),
        ...(user === undefined ? {} : { user: this.#equal(user) }),
        ...(endpoints === undefined ? {} : { endpoints: this.#equal(endpoints) }),
        ...(status.nodeName === undefined ? {} : { nodeName: this.#same(status.nodeName) }),
      },
    };
  }

  /** Each has its own time. */
  #condition({ reason, message, ...condition }: Condition): Condition {
    const { lastTransitionTime, ...rest } = condition;
    return { ...rest, reason: this.#same(reason), message: this.#same(message), lastTransitionTime };
  }

  #equal<T extends object>(value: T): T {
    return this.#remembered(JSON.stringify(value), value);
  }

  #same(text: string): string {
    return this.#remembered(text, text);
  }

  /** Keys of objects begin as no other text of a session does that is worth sharing. */
  #remembered<T>(key: string, value: T): T {
    const known = this.#values.get(key);
    if (known !== undefined && typeof known === typeof value) return known as T;
    if (this.#values.size >= mostValues) this.#values.clear();
    this.#values.set(key, value);
    return value;
  }
}
