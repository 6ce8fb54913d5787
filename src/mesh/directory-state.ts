/**
 * The directory's state, pure: adverts in, verdicts and listings out. An agent is its key; each peer that hosts
 * it has an entry of its own, which lives as long as its last advert says (three heartbeats) and no longer. A host
 * that failed here stays off the list until it answers a probe. Hosts are ordered by what was measured of them, never
 * by what they say. Refusals come in a fixed order, cheap ones first; the signature is checked between `judge` and
 * `put`.
 */
import { toHex } from '../base/bytes.ts';
import { nearestNames } from '../base/nearest.ts';
import type { Advert } from '../protocol/card.ts';
import { didOf, PROTOCOL_VERSION } from '../protocol/ids.ts';
import { ADVERT_LIFE_MS_MAX, CLOCK_SKEW_MS } from '../protocol/limits.ts';
import { peerIdIn } from './addresses.ts';
import type { Verdict } from './interface.ts';
import {
  AGENTS_PER_OPERATOR_MAX,
  AGENTS_PER_PEER_MAX,
  DIRECTORY_AGENTS_MAX,
  HOSTS_PER_AGENT_MAX,
  SUGGESTIONS_MAX,
} from './limits.ts';
import type { Measured } from './measures.ts';
import { ranked } from './ranking.ts';
import { createSuspects } from './suspects.ts';

/** Adverts of one agent by one host that come faster than this are ignored, milliseconds. */
export const ADVERT_INTERVAL_MS_MIN = 1_000;

/** One peer that hosts an agent. */
export interface HostListing {
  readonly peerId: string;
  readonly addresses: readonly string[];
  readonly cardHash: Uint8Array;
  /** What payers measured; absent when none has said anything lately. */
  readonly measured: Measured | undefined;
  /** What the host says of itself: its load and latency in it are claims. */
  readonly advert: Advert;
}

/** A live agent. The facts are those of its best host: the one with the least measured time per useful answer. */
export interface AgentListing {
  readonly did: string;
  readonly agent: Uint8Array;
  readonly operator: Uint8Array;
  readonly name: string;
  readonly skills: readonly string[];
  /** What the advert says that a call costs, grains; the card decides. */
  readonly perCall: bigint;
  readonly cardHash: Uint8Array;
  /** Best first; never empty. */
  readonly hosts: readonly HostListing[];
}

/** What a name led to. */
type Found =
  | { readonly agent: AgentListing }
  /** Nobody, or several: `nearest` are names, or the DIDs of those that share the name. */
  | { readonly nearest: readonly string[]; readonly reason: 'unknown' | 'ambiguous' };

/** Whom a shared name means: who is hosted by this peer, else the agent with this DID, else nobody. */
export interface Preferred {
  readonly peerId?: string | undefined;
  readonly did?: string | undefined;
}

/** When it is, by both clocks. */
export interface Instant {
  readonly wallMs: number;
  readonly monotonicMs: number;
}

/** One host of one agent, listed or under suspicion. */
export interface HostEntry {
  readonly agent: Uint8Array;
  readonly peerId: string;
  readonly addresses: readonly string[];
  /** How often in a row it failed here, and whether it is time to try it again. */
  readonly failures: number;
  readonly retryDue: boolean;
  /** When it last proved here that it serves the agent, monotonic milliseconds. */
  readonly provenAtMs: number | undefined;
}

/** How a directory's state behaves. */
export interface DirectoryStateOptions {
  readonly network: string;
  /** What is known of a host from payers. Default: nothing. */
  readonly measured?: (agent: Uint8Array, peerId: string) => Measured | undefined;
  /** Spreads callers over hosts that are equally good, such as the id of this peer. Default empty. */
  readonly salt?: string;
}

/** The directory without its network. */
export interface DirectoryState {
  /** What an advert deserves as far as its signature does not matter. `peerId`: who vouches for its host. */
  judge(advert: Advert, peerId: string, now: Instant): Verdict;
  /** Lists (or, with a life of zero, removes) a host after its advert was judged and its signature verified. */
  put(advert: Advert, now: Instant): void;
  /** Takes a host off the list until its next advert; without an agent, all of the peer. True if there was one. */
  remove(peerId: string, agent?: Uint8Array): boolean;
  /** A host failed: it is off the list until `restore`; without an agent, all of the peer. True if one was listed. */
  suspend(peerId: string, agent: Uint8Array | undefined, now: Instant): boolean;
  /** A host has proven that it serves an agent. True if it had been off the list. */
  restore(peerId: string, agent: Uint8Array, now: Instant): boolean;
  /** How often in a row a host failed here. */
  failures(peerId: string, agent: Uint8Array, now: Instant): number;
  /** Whether the peer advertises the agent, listed or not. */
  isHost(agent: Uint8Array, peerId: string): boolean;
  /** Every host that advertises, listed or not. */
  hosts(now: Instant): readonly HostEntry[];
  /** The card of this agent was read and is sound: its place is not given to unproven ones. */
  prove(agent: Uint8Array): void;
  /** Live agents by name. */
  agents(now: Instant): readonly AgentListing[];
  /** By DID, by name, or by the unique beginning of either. Of agents that share the whole name: the preferred. */
  find(wanted: string, now: Instant, preferred?: Preferred): Found;
}

interface Host {
  advert: Advert;
  untilMs: number;
  readonly takenAtMs: number;
  provenAtMs: number | undefined;
}

interface Agent {
  readonly key: Uint8Array;
  readonly hosts: Map<string, Host>;
  proven: boolean;
}

const DID_START = 'did:key:';
/** Least that a shortened DID shows of its last part, as the tables print it: `z6MkhaXg…doK1`, or its beginning. */
const DID_SHORT = /^(z6Mk[1-9A-HJ-NP-Za-km-z]{4,})(?:…([1-9A-HJ-NP-Za-km-z]*))?$/;
const SWEEP_INTERVAL_MS = 1_000;

/** An empty directory of `network`. */
export function createDirectoryState(options: DirectoryStateOptions): DirectoryState {
  return new Table(options);
}

class Table implements DirectoryState {
  readonly #options: DirectoryStateOptions;
  readonly #agents = new Map<string, Agent>();
  readonly #suspects = createSuspects();
  #sweptAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: DirectoryStateOptions) {
    this.#options = options;
  }

  judge(advert: Advert, peerId: string, now: Instant): Verdict {
    const fault = faultOf(advert, this.#options.network, peerId, now);
    if (fault) return fault;
    // Judging is frequent and a dead entry only takes room, so the sweep is rare here and always before listing.
    if (now.monotonicMs >= this.#sweptAtMs + SWEEP_INTERVAL_MS) this.#expire(now);
    const agent = this.#agents.get(toHex(advert.agent));
    const host = agent?.hosts.get(peerId);
    if (host) {
      const newer = advert.issuedAtMs > host.advert.issuedAtMs;
      const withdrawn = advert.expiresAtMs === advert.issuedAtMs;
      const paced = withdrawn || now.monotonicMs - host.takenAtMs >= ADVERT_INTERVAL_MS_MIN;
      return newer && paced ? 'accept' : 'ignore';
    }
    if (advert.expiresAtMs === advert.issuedAtMs) return 'ignore';
    return hasRoom(this.#agents, agent, advert, peerId) ? 'accept' : 'ignore';
  }

  put(advert: Advert, now: Instant): void {
    const hex = toHex(advert.agent);
    const lifeMs = Math.min(advert.expiresAtMs - now.wallMs, advert.expiresAtMs - advert.issuedAtMs);
    if (lifeMs <= 0) {
      this.#remove(advert.peerId, hex);
      return;
    }
    const agent = this.#agents.get(hex) ?? { key: advert.agent, hosts: new Map(), proven: false };
    this.#agents.set(hex, agent);
    const takenAtMs = now.monotonicMs;
    const { provenAtMs } = agent.hosts.get(advert.peerId) ?? { provenAtMs: undefined };
    agent.hosts.set(advert.peerId, { advert, untilMs: takenAtMs + lifeMs, takenAtMs, provenAtMs });
  }

  remove(peerId: string, agent?: Uint8Array): boolean {
    const hexes = agent ? [toHex(agent)] : [...this.#agents.keys()];
    return hexes.map((hex) => this.#remove(peerId, hex)).some(Boolean);
  }

  suspend(peerId: string, key: Uint8Array | undefined, now: Instant): boolean {
    this.#expire(now);
    const some = key ? [this.#agents.get(toHex(key))] : [...this.#agents.values()];
    let shown = false;
    for (const agent of some) {
      if (!agent?.hosts.has(peerId)) continue;
      shown = this.failures(peerId, agent.key, now) === 0 || shown;
      this.#suspects.fail(hostName(peerId, agent.key), now.monotonicMs);
    }
    return shown;
  }

  restore(peerId: string, key: Uint8Array, now: Instant): boolean {
    const host = this.#agents.get(toHex(key))?.hosts.get(peerId);
    if (host) host.provenAtMs = now.monotonicMs;
    return this.#suspects.clear(hostName(peerId, key));
  }

  failures(peerId: string, agent: Uint8Array, now: Instant): number {
    return this.#suspects.failures(hostName(peerId, agent), now.monotonicMs);
  }

  isHost(agent: Uint8Array, peerId: string): boolean {
    return this.#agents.get(toHex(agent))?.hosts.has(peerId) ?? false;
  }

  hosts(now: Instant): readonly HostEntry[] {
    this.#expire(now);
    return [...this.#agents.values()].flatMap(({ key, hosts }) =>
      [...hosts.values()].map(({ provenAtMs, advert: { peerId, addresses } }) => ({
        agent: key,
        peerId,
        addresses,
        provenAtMs,
        failures: this.failures(peerId, key, now),
        retryDue: this.#suspects.isDue(hostName(peerId, key), now.monotonicMs),
      })),
    );
  }

  prove(agent: Uint8Array): void {
    const known = this.#agents.get(toHex(agent));
    if (known) known.proven = true;
  }

  agents(now: Instant): readonly AgentListing[] {
    const order = (a: AgentListing, b: AgentListing): number =>
      a.name < b.name ? -1 : a.name > b.name ? 1 : a.did < b.did ? -1 : 1;
    return this.#listed(now).sort(order);
  }

  find(wanted: string, now: Instant, preferred: Preferred = {}): Found {
    return findIn(this.#listed(now), wanted, preferred);
  }

  #remove(peerId: string, agentHex: string): boolean {
    const agent = this.#agents.get(agentHex);
    const had = agent?.hosts.delete(peerId) ?? false;
    if (agent && agent.hosts.size === 0) this.#agents.delete(agentHex);
    return had;
  }

  #expire(now: Instant): void {
    this.#sweptAtMs = now.monotonicMs;
    for (const [hex, agent] of this.#agents) {
      for (const [peerId, host] of agent.hosts) {
        if (now.monotonicMs >= host.untilMs) this.#remove(peerId, hex);
      }
    }
  }

  #listed(now: Instant): AgentListing[] {
    this.#expire(now);
    return [...this.#agents.values()].flatMap((agent) => {
      const hosts = [...agent.hosts.values()].filter(
        ({ advert }) => this.failures(advert.peerId, agent.key, now) === 0,
      );
      return listingOf(agent, hosts, this.#options) ?? [];
    });
  }
}

/** Shape and time, in this order: version, network, host, life, expiry, skew, addresses, name. */
function faultOf(advert: Advert, network: string, peerId: string, now: Instant): Verdict | undefined {
  // A later version is nobody's fault; passing on what cannot be read would be ours.
  if (advert.version !== PROTOCOL_VERSION) return 'ignore';
  if (advert.network !== network) return 'reject';
  if (advert.peerId !== peerId) return 'reject';
  const lifeMs = advert.expiresAtMs - advert.issuedAtMs;
  if (lifeMs < 0 || lifeMs > ADVERT_LIFE_MS_MAX) return 'reject';
  if (lifeMs > 0 && advert.expiresAtMs <= now.wallMs) return 'ignore';
  if (advert.issuedAtMs > now.wallMs + CLOCK_SKEW_MS) return 'ignore';
  if (lifeMs === 0 && advert.issuedAtMs + CLOCK_SKEW_MS < now.wallMs) return 'ignore';
  if (!advert.addresses.every((address) => address.startsWith('/') && peerIdIn(address) === peerId)) {
    return 'reject';
  }
  return isName(advert.name) ? undefined : 'reject';
}

/** Names are shown and typed: no controls, no spaces at the ends, never mistaken for a DID. */
function isName(name: string): boolean {
  return (
    name.length > 0 && name === name.trim() && !/[\p{C}\p{Zl}\p{Zp}]/u.test(name) && !name.startsWith('did:')
  );
}

function hasRoom(
  agents: ReadonlyMap<string, Agent>,
  agent: Agent | undefined,
  advert: Advert,
  peerId: string,
): boolean {
  if (agent) return agent.hosts.size < HOSTS_PER_AGENT_MAX;
  if (agents.size >= DIRECTORY_AGENTS_MAX) return false;
  const operator = toHex(advert.operator);
  let ofPeer = 0;
  let ofOperator = 0;
  for (const known of agents.values()) {
    if (known.hosts.has(peerId)) ofPeer++;
    // Until a card proves it, an operator is only claimed: claims count against the claiming host alone.
    if (known.proven && [...known.hosts.values()].some((host) => toHex(host.advert.operator) === operator)) {
      ofOperator++;
    }
  }
  return ofPeer < AGENTS_PER_PEER_MAX && ofOperator < AGENTS_PER_OPERATOR_MAX;
}

function listingOf(
  agent: Agent,
  listed: readonly Host[],
  options: DirectoryStateOptions,
): AgentListing | undefined {
  const hosts = listed.map(({ advert }) => ({
    peerId: advert.peerId,
    addresses: advert.addresses,
    cardHash: advert.cardHash,
    measured: options.measured?.(agent.key, advert.peerId),
    advert,
  }));
  const sorted = ranked(hosts, options.salt ?? '');
  const best = sorted[0]?.advert;
  if (!best) return undefined;
  const { operator, name, skills, perCall, cardHash } = best;
  return {
    did: didOf(agent.key),
    agent: agent.key,
    operator,
    name,
    skills,
    perCall,
    cardHash,
    hosts: sorted,
  };
}

function hostName(peerId: string, agent: Uint8Array): string {
  return `${peerId} ${toHex(agent)}`;
}

function findIn(agents: readonly AgentListing[], wanted: string, preferred: Preferred): Found {
  const text = wanted.trim();
  const byDid = byShortDid(agents, text);
  if (byDid.length > 0) return oneOf(byDid);
  const low = text.toLowerCase();
  const named = [
    agents.filter((agent) => agent.name === text),
    agents.filter((agent) => agent.name.toLowerCase() === low),
  ].find((some) => some.length > 0);
  if (named) return oneOf(preferredOf(named, preferred));
  const begun = agents.filter((agent) => low.length > 0 && agent.name.toLowerCase().startsWith(low));
  if (begun.length > 0) return oneOf(begun);
  const names = agents.map((agent) => agent.name);
  return { nearest: nearestNames(text, names, SUGGESTIONS_MAX), reason: 'unknown' };
}

/** A name may look like a shortened DID, so DIDs are tried before names: nobody takes another's place by its name. */
function byShortDid(agents: readonly AgentListing[], text: string): readonly AgentListing[] {
  const [, start, end = ''] =
    DID_SHORT.exec(text.startsWith(DID_START) ? text.slice(DID_START.length) : text) ?? [];
  if (start === undefined) return [];
  return agents.filter(({ did }) => did.startsWith(DID_START + start) && did.endsWith(end));
}

/** Anyone may announce any name, so one that is shared means whom this peer hosts, or whom it knew first. */
function preferredOf(agents: readonly AgentListing[], preferred: Preferred): readonly AgentListing[] {
  const own = agents.filter((agent) => agent.hosts.some(({ peerId }) => peerId === preferred.peerId));
  if (own.length > 0) return own;
  const known = agents.filter(({ did }) => did === preferred.did);
  return known.length > 0 ? known : agents;
}

function oneOf(matches: readonly AgentListing[]): Found {
  const [only, second] = matches;
  if (only && !second) return { agent: only };
  return { nearest: matches.slice(0, SUGGESTIONS_MAX).map((agent) => agent.did), reason: 'ambiguous' };
}
