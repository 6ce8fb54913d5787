/** What the admin API tells of versions and tests of agents. */

/** How the models that help an agent to find passages are doing. */
export interface AgentSearchRow {
  /** What makes vectors, how many passages have one, and how many there are. */
  readonly embedder?: string;
  readonly vectors?: number;
  readonly of?: number;
  readonly reranker?: string;
  /** `failing`: one is left out, and the agent finds without it. */
  readonly state: 'ready' | 'making' | 'failing';
  readonly note?: string;
}

/** A manifest that an agent was hosted with. */
export interface AgentVersionRow {
  readonly version: number;
  readonly keptAtMs: number;
  /** Whether the agent is hosted with it now. */
  readonly current: boolean;
  /** As it was written. */
  readonly manifest: string;
}

/** What becomes of the questions that an agent is tried with. */
export type AgentTestEvent =
  | {
      readonly type: 'test';
      readonly question: string;
      readonly passed: boolean;
      /** Why it did not pass. */
      readonly faults: readonly string[];
      readonly finish?: string;
      readonly answer?: string;
      /** Names of the documents that it cites. */
      readonly documents?: readonly string[];
      /** Share of the answer's sentences that rest on what they cite, millionths. */
      readonly groundedPpm?: number;
      readonly outputUnits?: number;
      readonly tookMs?: number;
    }
  | { readonly type: 'total'; readonly passed: number; readonly failed: number };
