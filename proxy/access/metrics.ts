import { Counter, type Registry } from 'prom-client';

/** Counts what a cache of reviews answered. */
export interface ReviewCounter {
  /** Answered from memory. */
  hit(): void;
  /** Waited for kube-apiserver. */
  miss(): void;
}

/** `sojourn_access_reviews_total`: how often callers and their rights were known, or had to be asked for. */
export class AccessMetrics {
  readonly tokens: ReviewCounter;
  readonly rights: ReviewCounter;

  constructor(registry: Registry) {
    const counter = new Counter({
      name: 'sojourn_access_reviews_total',
      help: 'TokenReviews and SubjectAccessReviews that requests needed, by whether a cache (hit) or kube-apiserver (miss) answered.',
      labelNames: ['review', 'cache'],
      registers: [registry],
    });
    const counterOf = (review: string): ReviewCounter => {
      const [hits, misses] = [counter.labels({ review, cache: 'hit' }), counter.labels({ review, cache: 'miss' })];
      return { hit: () => hits.inc(), miss: () => misses.inc() };
    };
    this.tokens = counterOf('token');
    this.rights = counterOf('subject_access');
  }
}
