import type { Store } from '../../base/store.ts';
import type { Genesis } from '../../protocol/block.ts';
import type { CertifiedHeader, TwoCertified } from '../../protocol/certified-header.ts';
import type { Hash, PublicKey } from '../../protocol/ids.ts';
import type { Suite } from '../../protocol/suite.ts';
import type { ClaimSought } from '../claim-index.ts';
import type { Asset, Channel, Inclusion, InclusionProof, LedgerHead, ProvedState } from '../ledger.ts';
import type { ListKind } from '../listings.ts';
import { type Account, accountIn, assetIn, channelIn, type ReadRecord } from '../queries.ts';
import { GRANTS, type GrantRecord, licenseeId } from '../records.ts';
import type { LedgerMesh } from '../sync.ts';
import type { TrustSettings } from './consensus.ts';
import type { HeaderChain } from './headers.ts';
import type { LightPeersReport } from './peers.ts';

import { Prover } from './prover.ts';

/** Parts of a light client. */
export interface LightClientParts {
  readonly suite: Suite;
  readonly genesis: Genesis;
  /** Whom to ask. */
  readonly ask: Pick<LedgerMesh, 'peers' | 'request'>;
  /** Its own: keeps the latest header, and evidence. */
  readonly store: Store;
  /** Where a clock is to judge what validators decided. Absent: nothing is too old to be believed. */
  readonly trust?: TrustSettings | undefined;
}

/** Options of a light client. */
export interface LightClientOptions {
  /** How long one peer may take to answer, milliseconds. Default 15,000. */
  readonly requestTimeoutMs: number;
}

/** Defaults of a light client. */
export const LIGHT_CLIENT_DEFAULTS: LightClientOptions = { requestTimeoutMs: 15_000 };

/** What was proved, and at which head. */
export interface Proved<T> {
  readonly value: T;
  readonly head: LedgerHead;
}

/** A transaction that is in the ledger, with everything that proves it. */
export interface ProvedInclusion {
  readonly inclusion: Inclusion;
  readonly proof: InclusionProof;
}

interface Waiting {
  readonly signal?: AbortSignal;
}

/**
 * Answers with proofs only. Every question goes to up to 8 peers, another one first each time, until one proves its
 * answer. Rejects with `state-unproven` and the last peer's reason when none did, with `ledger-halted` once the sequencer
 * signed two blocks of one height, and with `cancelled`.
 */
export interface LightClient {
  readonly network: string;
  /** Before the first block. */
  readonly start: LedgerHead;
  /** The latest verified header. */
  head(): LedgerHead;
  /** The first two certified headers of one height that it came upon: those of a sequencer halted it. */
  evidence(): TwoCertified | undefined;
  /** What is believed of consensus, where validators decide. */
  readonly consensus: HeaderChain['consensus'];
  /** Follows the headers of up to 8 peers to the latest; those that fail are passed over if one answers. */
  follow(options?: Waiting): Promise<LedgerHead>;
  /**
   * Judges a header that came by itself, without taking it: whether it is later than all that is known. Throws
   * `block-invalid` when it is none of this network's, or contradicts the latest one that validators decided on, and
   * `ledger-halted` when the sequencer signed both.
   */
  hear(header: CertifiedHeader): Promise<'later' | 'known'>;
  /** How the connected peers answered lately. */
  peers(): LightPeersReport;
  account(key: PublicKey, options?: Waiting): Promise<Proved<Account>>;
  channel(id: Hash, options?: Waiting): Promise<Proved<Channel | undefined>>;
  /** An asset with its revenue. */
  asset(id: Hash, options?: Waiting): Promise<Proved<Asset | undefined>>;
  /** A bought licence. */
  grant(asset: Hash, licensee: PublicKey, options?: Waiting): Promise<Proved<GrantRecord | undefined>>;
  /**
   * Whatever `about` reads, at most 16,640 records, all at one head. `about` is called again whenever more was read for
   * it: until then records that it asks for seem absent. `likely`: state keys that it will read, asked for at once.
   */
  read<T>(
    about: (read: ReadRecord) => T,
    options?: Waiting & { readonly likely?: readonly Uint8Array[] },
  ): Promise<Proved<T>>;
  /** What the state of one header holds under at most 128 state keys, with everything that proves it. */
  prove(keys: readonly Uint8Array[], options?: Waiting): Promise<ProvedState>;
  /** A transaction in the ledger; `undefined` when no peer that was asked knows it, which proves nothing. */
  inclusion(id: Hash, options?: Waiting): Promise<ProvedInclusion | undefined>;
  /** The proof of a claim that counts a receipt; `undefined` when no peer that was asked knows one, which proves nothing. */
  claim(sought: ClaimSought, options?: Waiting): Promise<InclusionProof | undefined>;
  /** What up to 8 peers list under a key, together, at most 256 ids. None of it is proved, and each may leave some out. */
  listed(kind: ListKind, key: Uint8Array, options?: Waiting): Promise<readonly Hash[]>;
}

/** A light client. Throws `network-mismatch` when the store is another network's. */
export function createLightClient(
  parts: LightClientParts,
  options: Partial<LightClientOptions> = {},
): LightClient {
  const client = new Prover(parts, { ...LIGHT_CLIENT_DEFAULTS, ...options });
  const { chain } = client;
  const read: LightClient['read'] = (about, { signal, likely = [] } = {}) =>
    client.read(about, likely, signal);
  return {
    network: chain.network,
    start: chain.start,
    head: () => chain.head(),
    evidence: () => chain.evidence(),
    consensus: chain.consensus,
    follow: ({ signal } = {}) => client.follow(signal),
    hear: (header) => client.hear(header),
    peers: () => client.peers.report(),
    account: (key, waiting) => read((from) => accountIn(from, key), waiting),
    channel: (id, waiting) => read((from) => channelIn(from, id), waiting),
    asset: (id, waiting) => read((from) => assetIn(from, id), waiting),
    grant: (asset, licensee, waiting) => read((from) => from(GRANTS, licenseeId(asset, licensee)), waiting),
    read,
    prove: (keys, { signal } = {}) => client.prove(keys, signal),
    inclusion: (id, { signal } = {}) => client.inclusion(id, signal),
    claim: (sought, { signal } = {}) => client.claim(sought, signal),
    listed: (kind, key, { signal } = {}) => client.listed(kind, key, signal),
  };
}
