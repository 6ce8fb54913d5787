/**
 * Who can be called: agents here are announced by signed adverts that are their heartbeats, agents elsewhere are
 * listed while their adverts live. A peer that connects is asked for its own agents at once; hosts are probed, at
 * random and when they are lost, and leave the list when they do not answer.
 */
import type { Clock } from '../base/clock.ts';
import { SaharaError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Dice } from '../base/random.ts';
import { type Advert, advert } from '../protocol/card.ts';
import { ADVERT_BYTES_MAX, ADVERT_LIFE_MS_MAX } from '../protocol/limits.ts';
import { bytesUpTo, list, type Schema, schema } from '../protocol/schema.ts';
import { type Signed, signed, type Verifier } from '../protocol/signing.ts';
import type { Suite } from '../protocol/suite.ts';
import { createAnnouncer, type LocalAgent } from './announcer.ts';
import { type CardWanted, createCards, type VerifiedCard } from './cards.ts';
import {
  type AgentListing,
  createDirectoryState,
  type DirectoryState,
  type DirectoryStateOptions,
  type HostListing,
  type Instant,
} from './directory-state.ts';
import type { Mesh, PeerConduct, Verdict } from './interface.ts';
import { AGENTS_PER_PEER_MAX } from './limits.ts';
import { createProbes, type Probes } from './probes.ts';
import { topicName } from './topics.ts';

/** The protocol under which a peer is asked for the adverts of its own agents. The question is empty. */
export const ADVERTS_PROTOCOL = '/sahara/adverts/1';

/** The live agents of a network. */
export interface Directory {
  /** Announces an agent until the returned function is called, which tells peers that it is gone. */
  announce(agent: LocalAgent): () => Promise<void>;
  /** Live agents by name, those of this peer included. */
  agents(): readonly AgentListing[];
  /**
   * An agent by DID, name or unique beginning. Of several that share a name it is the one hosted here, else the one
   * whose DID is `known`. Throws `agent-unknown` with the nearest names, or with `reason` 'ambiguous' and the DIDs.
   */
  find(wanted: string, known?: string): AgentListing;
  /** Whether a peer advertises an agent. */
  isHost(agent: Uint8Array, peerId: string): boolean;
  /** The full card of an agent, verified. Throws what reaching its hosts throws, or what is wrong with it. */
  card(agent: CardWanted, options?: { readonly signal?: AbortSignal }): Promise<VerifiedCard>;
  /** Connects to a host by its peer id or the addresses it announced. Throws `peer-unreachable`. */
  reach(
    host: Pick<HostListing, 'peerId' | 'addresses'>,
    options?: { readonly signal?: AbortSignal },
  ): Promise<void>;
  /** Reports that a host did not answer for this agent: it leaves the list until it answers a probe. */
  failed(host: HostListing): void;
  /** Tells when the list may have changed. */
  onChange(listener: () => void): () => void;
  /** Withdraws the agents of this peer and stops listening. */
  stop(): Promise<void>;
}

/** What a directory works with. */
export interface DirectoryParts {
  readonly mesh: Mesh;
  readonly suite: Suite;
  readonly verifier: Verifier;
  readonly clock: Clock;
  readonly dice: Dice;
  readonly log: Log;
  /** What payers measured. Default: nothing. */
  readonly measured?: DirectoryStateOptions['measured'];
  /** Who counts what probed hosts do. Default: nobody. */
  readonly conduct?: PeerConduct;
}

/** How a directory behaves. */
export interface DirectoryOptions {
  readonly network: string;
  /** Lists the agents of this peer here only. Default false. */
  readonly private: boolean;
  /** Time between two adverts of one agent, milliseconds. An advert lives three times as long. Default 20,000. */
  readonly heartbeatMs: number;
  /** Longest wait for a probed peer, milliseconds. Default 5,000. */
  readonly probeTimeoutMs: number;
  /** Time between two rounds of probes, milliseconds, give or take half of it. Default 10,000. */
  readonly probeIntervalMs: number;
  /** Hosts probed in a round. Default 4. With 0 nobody is probed, and who fails is back with its next advert. */
  readonly probesPerRound: number;
}

/** What a directory does unless told otherwise. */
export const DIRECTORY_DEFAULTS: Omit<DirectoryOptions, 'network'> = {
  private: false,
  heartbeatMs: 20_000,
  probeTimeoutMs: 5_000,
  probeIntervalMs: 10_000,
  probesPerRound: 4,
};

const HEARTBEATS_MISSED_MAX = 3;
/** Adverts of a host that failed so often in a row here are taken, but not passed on. */
const FAILURES_SILENCED = 2;
const ANSWER_BYTES_MAX = AGENTS_PER_PEER_MAX * (ADVERT_BYTES_MAX + 8);

const advertList: Schema<readonly Uint8Array[]> = schema(
  'advert-list',
  list(bytesUpTo(ADVERT_BYTES_MAX), AGENTS_PER_PEER_MAX),
);

/** Starts a directory on a mesh. */
export function createDirectory(
  parts: DirectoryParts,
  given: { readonly network: string } & Partial<DirectoryOptions>,
): Directory {
  const options = { ...DIRECTORY_DEFAULTS, ...given };
  const { mesh, clock, measured } = parts;
  const { network } = options;
  const topic = topicName(network, 'adverts');
  const state = createDirectoryState({ network, salt: mesh.peerId, ...(measured && { measured }) });
  const changes = createChanges();
  const now = (): Instant => ({ wallMs: clock.nowMs(), monotonicMs: clock.monotonicMs() });
  const changed = changes.tell;
  const reach: Directory['reach'] = (host, reachOptions = {}) => reachHost(mesh, host, reachOptions);
  const cards = createCards({ ...parts, reach }, options);
  const announcer = createAnnouncer(
    {
      ...parts,
      list(said) {
        state.put(said, now());
        changed();
      },
      async publish(message) {
        if (!options.private) await mesh.publish(topic, message);
      },
    },
    { ...options, lifeMs: Math.min(ADVERT_LIFE_MS_MAX, HEARTBEATS_MISSED_MAX * options.heartbeatMs) },
  );
  const { signerOf } = announcer;
  const probes = createProbes({ ...parts, state, now, changed, signerOf, reach }, options);
  const own = (): readonly Uint8Array[] => (options.private ? [] : announcer.adverts());
  const stopListening = listen(parts, { ...options, topic, state, now, changed, probes, own });

  return {
    announce(agent) {
      const { hash, withdraw } = cards.offer(agent.card);
      const silence = announcer.announce(agent, hash);
      return async () => {
        withdraw();
        await silence();
      };
    },
    agents: () => state.agents(now()),
    find: (wanted, known) => foundIn(state.find(wanted, now(), { peerId: mesh.peerId, did: known }), wanted),
    isHost: (agent, peerId) => state.isHost(agent, peerId),
    async card(agent, cardOptions) {
      const read = await cards.read(agent, cardOptions);
      state.prove(agent.agent);
      return read;
    },
    reach,
    failed: ({ peerId, advert: { agent } }) => probes.failed(peerId, agent),
    onChange: changes.listen,
    async stop() {
      await probes.stop();
      await announcer.stop();
      stopListening();
      cards.stop();
      changes.stop();
    },
  };
}

/** Who wants to hear when the list may have changed. */
function createChanges(): {
  readonly tell: () => void;
  readonly listen: Directory['onChange'];
  readonly stop: () => void;
} {
  const listeners = new Set<() => void>();
  return {
    tell() {
      for (const listener of [...listeners]) listener();
    },
    listen(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    stop: () => listeners.clear(),
  };
}

function foundIn(found: ReturnType<DirectoryState['find']>, wanted: string): AgentListing {
  if ('agent' in found) return found.agent;
  throw new SaharaError('agent-unknown', { name: wanted, nearest: found.nearest, reason: found.reason });
}

interface Listening extends DirectoryOptions {
  readonly topic: string;
  readonly state: DirectoryState;
  readonly now: () => Instant;
  readonly changed: () => void;
  readonly probes: Probes;
  /** Adverts to hand to peers that ask. */
  readonly own: () => readonly Uint8Array[];
}

/** Takes adverts from gossip and from peers that connect; has peers probed that are lost or come back. */
function listen(parts: DirectoryParts, options: Listening): () => void {
  const { mesh, log } = parts;
  const { state, now, changed, probes } = options;

  /** The verdict on a signed advert for which the peer `host` stands; an accepted one is listed. */
  const take = async (message: Uint8Array, host: string): Promise<Verdict> => {
    const read = decoded(message);
    if (!read) return 'reject';
    const verdict = state.judge(read.advert, host, now());
    if (verdict !== 'accept') return verdict;
    const checked = await checkedAdvert(parts.verifier, options.network, read);
    if (checked !== 'accept') return checked;
    // Another advert may have been listed while this one was being verified.
    const again = state.judge(read.advert, host, now());
    if (again !== 'accept') return again;
    state.put(read.advert, now());
    changed();
    return state.failures(host, read.advert.agent, now()) < FAILURES_SILENCED ? 'accept' : 'ignore';
  };
  const ask = async (peerId: string): Promise<void> => {
    const question = { answerBytesMax: ANSWER_BYTES_MAX };
    const answer = await mesh.request(peerId, ADVERTS_PROTOCOL, new Uint8Array(0), question);
    for (const message of advertList.decode(answer)) await take(message, peerId);
    const failed = state.hosts(now()).some((host) => host.peerId === peerId && host.failures > 0);
    if (failed) await probes.check(peerId);
  };
  const quietly = (work: Promise<void>, peerId: string): void => {
    work.catch((error: unknown) => {
      log.debug('directory question failed', { peer: peerId, reason: String(error) });
    });
  };

  const unsubscribe = mesh.subscribe(options.topic, {
    sizeBytesMax: ADVERT_BYTES_MAX,
    validate: (message, _from, author) => take(message, author),
    deliver: () => {},
  });
  const unserve = mesh.serve(ADVERTS_PROTOCOL, {
    requestBytesMax: 0,
    answerBytesMax: ANSWER_BYTES_MAX,
    concurrencyMax: 64,
    handle: async () => advertList.encode(options.own().slice(0, AGENTS_PER_PEER_MAX)),
  });
  const unwatch = mesh.onPeers(({ peerId, connected }) => {
    quietly(connected ? ask(peerId) : probes.check(peerId), peerId);
  });
  for (const peer of mesh.peers()) quietly(ask(peer.peerId), peer.peerId);
  return () => {
    unwatch();
    unserve();
    unsubscribe();
  };
}

/** A signature about which nobody can say now whose it is does not speak against who passed it on. */
async function checkedAdvert(
  verifier: Verifier,
  network: string,
  { message, advert: { agent } }: { readonly message: Signed; readonly advert: Advert },
): Promise<Verdict> {
  try {
    return (await verifier.check(network, 'advert', agent, message)) ? 'reject' : 'accept';
  } catch (error) {
    if (error instanceof SaharaError && error.code === 'state-unproven') return 'ignore';
    throw error;
  }
}

async function reachHost(
  mesh: Mesh,
  host: Pick<HostListing, 'peerId' | 'addresses'>,
  options: { readonly signal?: AbortSignal },
): Promise<void> {
  if (host.peerId === mesh.peerId || mesh.peers().some((peer) => peer.peerId === host.peerId)) return;
  for (const address of host.addresses) {
    try {
      await mesh.connect(address, options);
      return;
    } catch (error) {
      if (error instanceof SaharaError && error.code === 'cancelled') throw error;
    }
  }
  await mesh.connect(host.peerId, options);
}

function decoded(bytes: Uint8Array): { readonly message: Signed; readonly advert: Advert } | undefined {
  try {
    const message = signed.decode(bytes);
    return { message, advert: advert.decode(message.payload) };
  } catch {
    return undefined;
  }
}
