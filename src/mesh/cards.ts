/** Cards by content id: pulled from a host, verified against their hash and their agent's key, kept for a while. */
import { equalBytes, toHex } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { SaharaError } from '../base/errors.ts';
import { type Card, card } from '../protocol/card.ts';
import { certificateChain, verifyChainWith } from '../protocol/certificate.ts';
import { malformed } from '../protocol/codec.ts';
import type { Hash } from '../protocol/ids.ts';
import { PROTOCOL_VERSION } from '../protocol/ids.ts';
import { CARD_BYTES_MAX } from '../protocol/limits.ts';
import { signed, type Verifier } from '../protocol/signing.ts';
import type { Suite } from '../protocol/suite.ts';
import type { AgentListing } from './directory-state.ts';
import type { Mesh } from './interface.ts';
import { CARDS_CACHED_MAX } from './limits.ts';

/** The protocol under which cards are asked for: the question is a card's hash, the answer its signed bytes. */
export const CARD_PROTOCOL = '/sahara/card/1';

/** A card that was verified. */
export interface VerifiedCard {
  readonly card: Card;
  /** The signed card in its wire form; its SHA-256 is the card's content id. */
  readonly bytes: Uint8Array;
  readonly hash: Hash;
}

/** Whose card is wanted, and from where. */
export interface CardWanted extends Pick<AgentListing, 'agent' | 'operator' | 'cardHash' | 'name'> {
  /** Best first. */
  readonly hosts: readonly CardHost[];
}

type CardHost = Pick<AgentListing['hosts'][number], 'peerId' | 'addresses'>;

/** Cards of agents here and elsewhere. */
export interface Cards {
  /** Hands a card of this peer to whoever asks. Returns its hash and how to take it back. */
  offer(bytes: Uint8Array): { readonly hash: Hash; readonly withdraw: () => void };
  /** The card of a listed agent. Throws `peer-unreachable` and the like, or what is wrong with the card. */
  read(agent: CardWanted, options?: { readonly signal?: AbortSignal }): Promise<VerifiedCard>;
  /** Answers nobody any more. */
  stop(): void;
}

/** What cards work with. */
export interface CardsParts {
  readonly mesh: Pick<Mesh, 'request' | 'serve'>;
  readonly suite: Suite;
  readonly verifier: Verifier;
  readonly clock: Clock;
  /** Makes sure of a connection to a host. */
  readonly reach: (host: CardHost, options: { readonly signal?: AbortSignal }) => Promise<void>;
}

/** Serves and pulls cards of `network`. */
export function createCards(parts: CardsParts, options: { readonly network: string }): Cards {
  const { mesh, suite } = parts;
  const own = new Map<string, Uint8Array>();
  const known = new Map<string, { readonly read: VerifiedCard; version: number }>();
  const version = (): number => parts.verifier.trust?.version() ?? 0;
  const stop = mesh.serve(CARD_PROTOCOL, {
    requestBytesMax: 32,
    answerBytesMax: CARD_BYTES_MAX,
    concurrencyMax: 64,
    async handle(hash) {
      const bytes = own.get(toHex(hash));
      if (!bytes) throw new SaharaError('agent-unknown', { card: toHex(hash) });
      return bytes;
    },
  });

  const verified = async (bytes: Uint8Array, agent: CardWanted): Promise<VerifiedCard> => {
    const hash = suite.sha256(bytes);
    if (!equalBytes(hash, agent.cardHash)) throw malformed('the card is not the one that was announced');
    const message = signed.decode(bytes);
    const read = card.decode(message.payload);
    if (read.version !== PROTOCOL_VERSION) {
      throw new SaharaError('version-unsupported', { found: read.version, supported: PROTOCOL_VERSION });
    }
    if (read.network !== options.network) {
      throw new SaharaError('network-mismatch', { found: read.network, expected: options.network });
    }
    if (!isOf(read, agent)) throw malformed('the card is of another agent or operator');
    const fault = await parts.verifier.check(options.network, 'card', read.agent, message);
    if (fault) throw new SaharaError(fault, { what: 'card' });
    await vouched(read);
    return { card: read, bytes, hash };
  };

  const vouched = (read: Card): Promise<unknown> =>
    verifyChainWith(parts.verifier, certificateChain.decode(read.operatorCertificate), {
      network: options.network,
      root: read.operator,
      subject: { kind: 'key', id: read.agent },
      nowMs: parts.clock.nowMs(),
    });

  return {
    offer(bytes) {
      const hash = suite.sha256(bytes);
      own.set(toHex(hash), bytes);
      return { hash, withdraw: () => own.delete(toHex(hash)) };
    },
    async read(agent, readOptions = {}) {
      const key = toHex(agent.cardHash);
      const cached = known.get(key);
      if (cached && isOf(cached.read.card, agent)) {
        if (cached.version !== version()) {
          await vouched(cached.read.card);
          cached.version = version();
        }
        return cached.read;
      }
      const mine = own.get(key);
      const bytes = mine ?? (await pull(parts, agent, readOptions));
      const at = version();
      const read = await verified(bytes, agent);
      known.delete(key);
      known.set(key, { read, version: at });
      if (known.size > CARDS_CACHED_MAX) known.delete(known.keys().next().value as string);
      return read;
    },
    stop,
  };
}

function isOf(read: Card, agent: CardWanted): boolean {
  return equalBytes(read.agent, agent.agent) && equalBytes(read.operator, agent.operator);
}

/** Asks the agent's hosts, best first, until one answers. */
async function pull(
  parts: CardsParts,
  agent: CardWanted,
  options: { readonly signal?: AbortSignal },
): Promise<Uint8Array> {
  let failure = new SaharaError('peer-unreachable', { agent: agent.name });
  for (const host of agent.hosts) {
    try {
      await parts.reach(host, options);
      const request = { answerBytesMax: CARD_BYTES_MAX, ...options };
      return await parts.mesh.request(host.peerId, CARD_PROTOCOL, agent.cardHash, request);
    } catch (error) {
      if (!(error instanceof SaharaError) || error.code === 'cancelled') throw error;
      failure = error;
    }
  }
  throw failure;
}
