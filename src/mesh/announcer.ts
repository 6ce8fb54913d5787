/** The agents of this peer, announced: a signed advert at once and at every heartbeat, and one that says goodbye. */
import { equalBytes, utf8 } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Dice } from '../base/random.ts';
import { type Advert, advert } from '../protocol/card.ts';
import { type Hash, PROTOCOL_VERSION } from '../protocol/ids.ts';
import { signed, type TickSigner } from '../protocol/signing.ts';
import type { Mesh } from './interface.ts';

/** An agent of this peer, as it is announced. */
export interface LocalAgent {
  /** Signs with the agent's key. */
  readonly signer: TickSigner;
  /** The signed card in its wire form. */
  readonly card: Uint8Array;
  /** What callers choose by; asked again for each heartbeat. */
  describe(): Pick<
    Advert,
    'operator' | 'name' | 'skills' | 'perCall' | 'queue' | 'latencyMs' | 'modelDigest'
  >;
}

/** Heartbeats of the agents here. */
export interface Announcer {
  /** Announces until the returned function is called. */
  announce(agent: LocalAgent, cardHash: Hash): () => Promise<void>;
  /** The signed adverts that are alive now. */
  adverts(): readonly Uint8Array[];
  /** What signs for an agent that is announced. */
  signerOf(agent: Uint8Array): TickSigner | undefined;
  stop(): Promise<void>;
}

/** What an announcer works with. */
export interface AnnouncerParts {
  readonly mesh: Mesh;
  readonly clock: Clock;
  readonly dice: Dice;
  readonly log: Log;
  /** Takes each advert before it leaves, for the list of this peer itself. */
  readonly list: (advert: Advert) => void;
  /** Sends an advert to the network. */
  readonly publish: (message: Uint8Array) => Promise<void>;
}

/** How an announcer behaves. */
export interface AnnouncerOptions {
  readonly network: string;
  readonly heartbeatMs: number;
  /** Life of an advert, milliseconds. */
  readonly lifeMs: number;
}

const ADDRESSES_MAX = 4;
const ADDRESS_BYTES_MAX = 160;

interface Announced {
  readonly agent: LocalAgent;
  readonly cardHash: Hash;
  latest: Uint8Array | undefined;
  issuedAtMs: number;
  cancel: () => void;
}

/** Announces nobody yet. */
export function createAnnouncer(parts: AnnouncerParts, options: AnnouncerOptions): Announcer {
  const { clock, log } = parts;
  const announced = new Set<Announced>();

  const beat = async (entry: Announced, lifeMs: number): Promise<void> => {
    // Two adverts of one agent are never issued in the same millisecond, so that the later one wins.
    entry.issuedAtMs = Math.max(clock.nowMs(), entry.issuedAtMs + 1);
    const said = advertOf(entry, parts.mesh, { network: options.network, lifeMs });
    const message = signed.encode(await entry.agent.signer.sign('advert', advert.encode(said)));
    // A heartbeat that was being signed while the agent was withdrawn must not bring it back.
    if (lifeMs > 0 && !announced.has(entry)) return;
    entry.latest = message;
    parts.list(said);
    await parts.publish(message);
  };
  const beatAloud = (entry: Announced, lifeMs: number): Promise<void> =>
    beat(entry, lifeMs).catch((error: unknown) => {
      log.warn('advert not published', { reason: String(error) });
    });
  const schedule = (entry: Announced): void => {
    const share = 0.9 + (parts.dice.bytes(1)[0] ?? 0) / 1_280;
    entry.cancel = clock.after(options.heartbeatMs * share, () => {
      void beatAloud(entry, options.lifeMs);
      schedule(entry);
    });
  };
  const withdraw = async (entry: Announced): Promise<void> => {
    if (!announced.delete(entry)) return;
    entry.cancel();
    await beatAloud(entry, 0);
  };

  return {
    announce(agent, cardHash) {
      const entry: Announced = { agent, cardHash, latest: undefined, issuedAtMs: 0, cancel: () => {} };
      announced.add(entry);
      void beatAloud(entry, options.lifeMs);
      schedule(entry);
      return () => withdraw(entry);
    },
    adverts: () => [...announced].flatMap((entry) => entry.latest ?? []),
    signerOf: (key) =>
      [...announced].find(({ agent }) => equalBytes(agent.signer.publicKey, key))?.agent.signer,
    async stop() {
      await Promise.all([...announced].map(withdraw));
    },
  };
}

function advertOf(
  entry: Announced,
  mesh: Mesh,
  options: { readonly network: string; readonly lifeMs: number },
): Advert {
  const addresses = mesh.addresses().filter((address) => utf8(address).length <= ADDRESS_BYTES_MAX);
  return {
    version: PROTOCOL_VERSION,
    network: options.network,
    agent: entry.agent.signer.publicKey,
    cardHash: entry.cardHash,
    peerId: mesh.peerId,
    addresses: addresses.slice(0, ADDRESSES_MAX),
    issuedAtMs: entry.issuedAtMs,
    expiresAtMs: entry.issuedAtMs + options.lifeMs,
    ...entry.agent.describe(),
  };
}
