import { Counter, type Registry } from 'prom-client';

/** A write of suspension: suspended for being idle; woken by a call; resumed once the old Pod was gone. */
export type SuspensionStep = 'suspend' | 'wake' | 'resume';
/** How it ended: written; conflict, because somebody wrote the Sandbox in between; failed (it is tried again). */
export type SuspensionOutcome = 'written' | 'conflict' | 'failed';

/** The metrics of suspension. */
export class SuspensionMetrics {
  readonly #writes: Counter<'step' | 'outcome'>;

  constructor(registry: Registry) {
    this.#writes = new Counter({
      name: 'sojourn_suspension_writes_total',
      help: 'Attempts to suspend idle sessions and to bring them back, by step (suspend, wake, resume) and outcome (written, conflict, failed).',
      labelNames: ['step', 'outcome'],
      registers: [registry],
    });
  }

  tried(step: SuspensionStep, outcome: SuspensionOutcome): void {
    this.#writes.inc({ step, outcome });
  }
}
