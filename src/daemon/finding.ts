/** Finding the agent that somebody names, and its hosts that can be reached. */
import type { CallTarget } from '../agent/caller.ts';
import type { Clock } from '../base/clock.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import type { Directory } from '../mesh/directory.ts';
import type { AgentListing, HostListing } from '../mesh/directory-state.ts';
import { signed } from '../protocol/signing.ts';
import type { KnownNames } from './known-names.ts';

/** What agents are found with. */
export interface FindingParts {
  readonly clock: Clock;
  readonly directory: Directory;
  readonly knownNames: KnownNames;
}

/** How long an agent that is not listed is waited for, milliseconds: adverts of a peer just met are on their way. */
const FIND_WAIT_MS = 3_000;
const FIND_EVERY_MS = 100;

/** Whether an agent was asked for by its whole name. */
export function isNameOf(listing: AgentListing, wanted: string): boolean {
  return listing.name.toLowerCase() === wanted.trim().toLowerCase();
}

/** The agent of that name or DID; one that is not listed yet is waited for a little. Throws `agent-unknown`. */
export async function findAgent(
  parts: FindingParts,
  name: string,
  signal: AbortSignal,
): Promise<AgentListing> {
  const known = await parts.knownNames.of(name);
  const untilMs = parts.clock.monotonicMs() + FIND_WAIT_MS;
  for (;;) {
    try {
      return parts.directory.find(name, known);
    } catch (error) {
      const waiting =
        parts.clock.monotonicMs() < untilMs && asSaharaError(error).facts.reason !== 'ambiguous';
      if (!waiting || signal.aborted) throw error;
    }
    await new Promise<void>((resolve) => parts.clock.after(FIND_EVERY_MS, resolve));
  }
}

/** The agent at one of its hosts, under the card that this host shows. Throws what reading the card throws. */
export async function targetAt(
  directory: Pick<Directory, 'card'>,
  listing: AgentListing,
  host: HostListing,
  options: { readonly signal?: AbortSignal } = {},
): Promise<CallTarget> {
  // Each host signs a card of its own, and another operator's names that operator.
  const { operator, cardHash } = host.advert;
  const { bytes } = await directory.card({ ...listing, operator, cardHash, hosts: [host] }, options);
  return { peerId: host.peerId, card: signed.decode(bytes) };
}

/** The agent at each of its hosts that can be reached, best first. Throws `peer-unreachable` when there is none. */
export async function* targetsOf(
  parts: Pick<FindingParts, 'directory'>,
  listing: AgentListing,
  signal: AbortSignal,
): AsyncGenerator<CallTarget, void> {
  let reached = false;
  let failure: unknown;
  for (const host of listing.hosts) {
    let target: CallTarget;
    let met = false;
    try {
      await parts.directory.reach(host, { signal });
      met = true;
      target = await targetAt(parts.directory, listing, host, { signal });
    } catch (error) {
      if (signal.aborted) throw error;
      if (!met) parts.directory.failed(host);
      failure = error;
      continue;
    }
    reached = true;
    yield target;
  }
  if (!reached) throw failure ?? new SaharaError('peer-unreachable', { agent: listing.name });
}

/** The agent at the first of its hosts that can be reached. Throws `peer-unreachable`. */
export async function targetOf(
  parts: Pick<FindingParts, 'directory'>,
  listing: AgentListing,
  signal: AbortSignal,
): Promise<CallTarget> {
  const { value } = await targetsOf(parts, listing, signal).next();
  if (value) return value;
  throw new SaharaError('peer-unreachable', { agent: listing.name });
}
