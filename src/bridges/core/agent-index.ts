/**
 * The agents that can be asked, in memory: platforms want suggestions within a second or two of each key, and no request to
 * a daemon or a peer fits in there. It is filled in the background and may be some seconds old; the call itself looks again.
 */
import type { Clock } from '../../base/clock.ts';
import { asSaharaError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { AGENTS_INDEXED_MAX } from '../limits.ts';
import type { AgentListing, AgentsPort } from './ports.ts';

/** What the index works with. */
export interface AgentIndexParts {
  readonly agents: AgentsPort;
  readonly clock: Clock;
  readonly log: Log;
}

/** How the index behaves. */
export interface AgentIndexOptions {
  /** How old it may become, milliseconds. Default 15,000. */
  readonly refreshMs: number;
}

/** The ordinary. */
export const AGENT_INDEX_DEFAULTS: AgentIndexOptions = { refreshMs: 15_000 };

/** A list of agents that is at hand. */
export interface AgentIndex {
  /** Agents whose name, or else description, holds what was typed: names that begin with it first. */
  search(typed: string): readonly AgentListing[];
  stop(): void;
}

/** Fills an index and keeps it fresh. When agents cannot be listed at first, it begins empty. */
export async function createAgentIndex(
  parts: AgentIndexParts,
  options: AgentIndexOptions = AGENT_INDEX_DEFAULTS,
): Promise<AgentIndex> {
  const { agents, clock, log } = parts;
  let listed: readonly AgentListing[] = [];
  let isStopped = false;
  let cancel = (): void => undefined;

  async function refresh(): Promise<void> {
    try {
      listed = (await agents.list()).slice(0, AGENTS_INDEXED_MAX);
    } catch (error) {
      log.warn('agents not listed', { code: asSaharaError(error).code });
    }
    if (!isStopped) cancel = clock.after(options.refreshMs, () => void refresh());
  }

  await refresh();
  return {
    search(typed) {
      const wanted = typed.trim().toLowerCase();
      const rank = ({ name, description }: AgentListing): number => {
        const at = name.toLowerCase().indexOf(wanted);
        if (at >= 0) return Math.min(at, 1);
        return description.toLowerCase().includes(wanted) ? 2 : 3;
      };
      return listed
        .map((agent) => ({ agent, at: rank(agent) }))
        .filter(({ at }) => at < 3)
        .sort((a, b) => a.at - b.at)
        .map(({ agent }) => agent);
    },
    stop() {
      isStopped = true;
      cancel();
    },
  };
}
