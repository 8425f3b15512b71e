import { Counter, type Registry } from 'prom-client';

/**
 * How a flush of activity ended: written; superseded, because as new an activity was stored by then; conflict, because
 * somebody wrote the Sandbox in between (it is decided anew); failed (it is tried again).
 */
export type FlushOutcome = 'written' | 'superseded' | 'conflict' | 'failed';

/** The metrics of activity. */
export class ActivityMetrics {
  readonly #flushes: Counter<'outcome'>;

  constructor(registry: Registry) {
    this.#flushes = new Counter({
      name: 'sojourn_activity_flushes_total',
      help: 'Attempts to store the activity of a session on its Sandbox, by outcome (written, superseded, conflict, failed).',
      labelNames: ['outcome'],
      registers: [registry],
    });
  }

  flushed(outcome: FlushOutcome): void {
    this.#flushes.inc({ outcome });
  }
}
