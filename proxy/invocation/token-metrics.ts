import { Counter, type Registry } from 'prom-client';

/** Whether a token was in the cache; one that is being signed for another call is not. */
export type TokenRequestResult = 'hit' | 'miss';

/** How a push of the key set ended: accepted; the daemon has a later one; refused; no answer in time. */
export type KeyPushOutcome = 'accepted' | 'outdated' | 'refused' | 'failed';

/** The metrics of tokens and keys. Their labels are bounded: no session, Pod, user or key. */
export class CredentialMetrics {
  readonly #tokens: Record<TokenRequestResult, Counter.Internal>;
  readonly #pushes: Counter<'outcome'>;

  constructor(registry: Registry) {
    const registers = [registry];
    const tokens = new Counter({
      name: 'sojourn_token_cache_requests_total',
      help: 'Invocation tokens asked for, by whether they were in the cache (hit) or had to be signed (miss).',
      labelNames: ['result'],
      registers,
    });
    // Bound once: one of them is counted in every call.
    this.#tokens = { hit: tokens.labels('hit'), miss: tokens.labels('miss') };
    this.#pushes = new Counter({
      name: 'sojourn_key_pushes_total',
      help: 'Key sets pushed to daemons, by outcome (accepted, outdated: it has a later one, refused, failed).',
      labelNames: ['outcome'],
      registers,
    });
  }

  tokenRequested(result: TokenRequestResult): void {
    this.#tokens[result].inc();
  }

  keysPushed(outcome: KeyPushOutcome): void {
    this.#pushes.inc({ outcome });
  }
}
