/**
 * A ledger without the ledger: what concerns its own key is followed by proofs and read from memory, the rest is asked
 * for. Own records are proved again after blocks came, so that a channel that closes is noticed as a full node would,
 * and when nobody proves them any more that is told. Transactions go to peers, and count once a header proves them.
 */
import { equalBytes } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import { SaharaError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { Store } from '../../base/store.ts';
import type { Genesis } from '../../protocol/block.ts';
import type { NamedBlock, TwoCertified } from '../../protocol/certified-header.ts';
import type { PublicKey } from '../../protocol/ids.ts';
import type { Suite } from '../../protocol/suite.ts';
import { supplyOf } from '../genesis.ts';
import type { Channel, Ledger } from '../ledger.ts';
import type { LedgerNetwork } from '../network.ts';
import { readsFrom } from '../queries.ts';
import type { LedgerMesh } from '../sync.ts';
import { Following } from './following.ts';
import type { LightPeersReport } from './peers.ts';
import { channelsIn } from './view.ts';

/** Parts of a light ledger. */
export interface LightLedgerParts {
  readonly suite: Suite;
  /** Its own; stays open when the ledger stops. */
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  /** Whose records are followed. */
  readonly owner: PublicKey;
  /** Whom to ask. */
  readonly mesh: Pick<LedgerMesh, 'peers' | 'request'>;
  /** News of blocks, and where transactions go. */
  readonly network: Pick<LedgerNetwork, 'publishTransaction' | 'onBlock' | 'onPeer'>;
  /** A block of consensus that a person names, where validators decide: what is believed begins there. */
  readonly named?: NamedBlock | undefined;
}

/** Options of a light ledger. */
export interface LightLedgerOptions {
  /** How often peers are asked for headers that no news told of, milliseconds. Default 5,000. */
  readonly pollIntervalMs: number;
  /** How often transactions under way are told again, milliseconds. Default 2,000. */
  readonly republishIntervalMs: number;
  /** How long one peer may take to answer, milliseconds. Default 5,000. */
  readonly requestTimeoutMs: number;
}

/** Defaults of a light ledger. */
export const LIGHT_LEDGER_DEFAULTS: LightLedgerOptions = {
  pollIntervalMs: 5_000,
  republishIntervalMs: 2_000,
  requestTimeoutMs: 5_000,
};

/** How a light ledger stands with its peers. */
export interface LightReport {
  /** Height of the latest header that was taken. */
  readonly headerHeight: number;
  /** Height at which own records were proved last. */
  readonly provedHeight: number;
  /** Milliseconds since own records were last known to be up to date; absent if never in this run. */
  readonly provedAgoMs?: number;
  readonly peers: LightPeersReport;
  /** Own channels that are followed. */
  readonly channels: number;
  /** What a person should know: nobody answers, or what is answered does not hold. */
  readonly warning?: string;
  /** What is believed of consensus, where validators decide. */
  readonly consensus?: {
    /** Of the latest block that is believed. */
    readonly height: number;
    readonly hash: string;
    readonly timeMs: number;
    readonly validators: number;
    /** Until then others are believed by it, milliseconds since 1970. */
    readonly untilMs: number;
  };
  /** Hashes of two certified headers of one height, in hexadecimal; the first is the one that was believed first. */
  readonly evidence?: readonly string[];
  /** What that means where validators decided on both, and what to do. */
  readonly conflict?: string;
}

/** A light ledger. */
export interface LightLedger extends Ledger {
  readonly mode: 'light';
  report(): LightReport;
  /** Two certified headers of one height, once they are known. */
  evidence(): TwoCertified | undefined;
  /** Hears no more news of blocks, for somebody else listens now; it goes on asking. */
  leaveNews(): void;
  hearNews(): void;
}

/** Opens the light ledger of `genesis` in `parts.store`. Throws `network-mismatch` when that holds another network's. */
export async function createLightLedger(
  parts: LightLedgerParts,
  genesis: Genesis,
  options: Partial<LightLedgerOptions> = {},
): Promise<LightLedger> {
  const settings = { ...LIGHT_LEDGER_DEFAULTS, ...options };
  const following = await Following.open(parts, genesis, settings);
  const { client, view, sent } = following;
  const own = readsFrom(view.read);
  const whole = (what: string): never => {
    throw new SaharaError('ledger-light', { what });
  };
  const channelsOf = (key: PublicKey): readonly Channel[] =>
    channelsIn(view.records)
      .flatMap((id) => own.channel(id) ?? [])
      .filter(({ payer, payee }) => equalBytes(payer, key) || equalBytes(payee, key));
  return {
    ...own,
    network: client.network,
    genesis,
    mode: 'light',
    base: 0,
    head: () => ({ ...view.head, ...following.halted() }),
    read: (about, waiting) => following.read(about, waiting?.signal),
    current: ({ signal } = {}) => following.current(signal),
    listed: (kind, key, waiting) => client.listed(kind, key, waiting),
    settled: (sought, waiting) => client.claim(sought, waiting),
    channelsOf,
    assetsOf: () => whole('Listing what somebody owns'),
    childrenOf: () => whole('Listing what was made of an asset'),
    submit: (message, { signal } = {}) => following.submit(message, signal),
    lookup: (id) => sent.lookup(id),
    proof: async (id) => (await sent.proof(id)) ?? (await client.inclusion(id))?.proof,
    prove: (keys, waiting) => client.prove(keys, waiting),
    stateProof: () => whole('Proving what the state holds'),
    transactions: async () => whole('Listing transactions'),
    supply: () => ({ total: supplyOf(genesis), faucet: 0n }),
    blocks: async () => whole('Reading blocks'),
    onBlock: (listener) => following.onBlock(listener),
    verify: async () => whole('Replaying the ledger'),
    prune: async () => whole('Dropping blocks'),
    stop: () => following.stop(),
    report: () => following.report(),
    evidence: () => client.evidence(),
    leaveNews: () => following.leaveNews(),
    hearNews: () => following.hearNews(),
  };
}
