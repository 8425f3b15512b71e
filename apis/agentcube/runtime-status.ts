import type { Condition } from '../machinery/meta.ts';

/** Status of a runtime: AgentCube's `conditions` and `ready`, and what Sojourn adds to them. */
export interface RuntimeStatus {
  conditions?: Condition[];
  /** Of a CodeInterpreter only, as AgentCube has it: whether sessions can be made of it. */
  ready?: boolean;
  /** The generation that all of this is about. */
  observedGeneration?: number;
  warmPool?: WarmPoolStatus | null;
}

export interface WarmPoolStatus {
  /** Names of the SandboxWarmPool and its SandboxTemplate. */
  name: string;
  templateName: string;
  desired: number;
  /** Written when it has settled: a session that takes a sandbox, and the pool that replaces it, do not show. */
  ready: number;
}
