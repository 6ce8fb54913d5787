/** What the rest of Sahara sees of a ledger, whatever engine keeps it. */

import type { BondRole } from '../protocol/actions-stake.ts';
import type { Genesis, TransactionResult } from '../protocol/block.ts';
import type { CertifiedHeader } from '../protocol/certified-header.ts';
import type { Hash, Id, PublicKey } from '../protocol/ids.ts';
import type { LicenceTerms } from '../protocol/licence.ts';
import type { MerklePath } from '../protocol/merkle.ts';
import type { Signed } from '../protocol/signing.ts';
import type { StateProof } from '../protocol/state-proof.ts';
import type {
  Action,
  Commitment,
  OwnerShare,
  ParentShare,
  RegisterAssetAction,
} from '../protocol/transaction.ts';
import type { ClaimSought } from './claim-index.ts';
import type { Identity } from './identities.ts';
import type { ListKind } from './listings.ts';
import type { Delegation, Earning, StakedBond } from './queries-stake.ts';

/** Where the ledger stands on this node. */
export interface LedgerHead {
  /** 0 before the first block. */
  readonly height: number;
  /** Hash of the last block's header; zeros at height 0. */
  readonly headerHash: Hash;
  readonly stateRoot: Hash;
  /** The last block's time; the genesis' at height 0. */
  readonly timeMs: number;
  /** Why this node takes no more blocks, if it does not. */
  readonly halted?: string;
}

/** One lane of a channel as the ledger knows it. */
interface ChannelLane {
  readonly lane: number;
  /** Paid to the payee and its assets, grains. */
  readonly paid: bigint;
  /** Total of the last charge that was claimed, grains. */
  readonly total: bigint;
  /** Present when evidence against the payee froze it: the highest total it pays up to, and what the payer got back. */
  readonly frozen?: { readonly total: bigint; readonly returned: bigint };
}

/** A channel. One that ended is gone. */
export interface Channel {
  readonly id: Hash;
  readonly payer: PublicKey;
  readonly payee: PublicKey;
  /** All that was put in and not withdrawn, grains: `claimed` of it is gone. */
  readonly deposit: bigint;
  /** How often the deposit has changed; a release of the payee counts for this state of it alone. */
  readonly revision: number;
  /** What claims have paid out, over all lanes, grains. */
  readonly claimed: bigint;
  readonly state: 'open' | 'closing';
  /** Height of the block at whose end a closing channel ends. */
  readonly closeAt?: number;
  /** Announced: at the end of the block `at`, `amount` leaves the deposit as far as claims have left it. */
  readonly withdrawal?: { readonly amount: bigint; readonly at: number };
  /** Keys that sign vouchers besides the payer's: the present one first, former ones with their last height. */
  readonly voucherKeys: readonly { readonly key: PublicKey; readonly until?: number }[];
  readonly lanes: readonly ChannelLane[];
}

/** A channel that ended, while its payee can still be challenged about what it paid. */
export interface EndedChannel {
  readonly id: Hash;
  readonly payer: PublicKey;
  readonly payee: PublicKey;
  /** Last height of a challenge. */
  readonly until: number;
  readonly lanes: readonly Omit<ChannelLane, 'total'>[];
}

/** An asset and its money. */
export interface Asset {
  readonly id: Hash;
  readonly registrant: PublicKey;
  readonly kind: RegisterAssetAction['kind'];
  readonly name: string;
  readonly licence: string;
  /** What the licence says; absent: it binds nobody. */
  readonly terms: LicenceTerms | undefined;
  readonly owners: readonly OwnerShare[];
  readonly parents: readonly ParentShare[];
  readonly commitment: Commitment;
  readonly depth: number;
  /** All that claims and children ever brought, grains. */
  readonly received: bigint;
  /** Forwarded to each parent so far, in the order of `parents`, grains. */
  readonly forwarded: readonly bigint[];
  /** Paid to each owner so far, in the order of `owners`, grains. */
  readonly paid: readonly bigint[];
  /** The asset that it is a newer version of. */
  readonly replaces: Hash | undefined;
  /** Part of what the owners are due that goes to who collects, parts per million. */
  readonly bounty: number;
  /** Paid to those who collected so far, grains. */
  readonly bountyPaid: bigint;
}

/** What a key has of an asset's registrant. */
export interface Licence {
  /** Bought, until the height `endsAt`, or for ever where that is 0. */
  readonly grant: { readonly endsAt: number; readonly paid: bigint } | undefined;
  /** Allowed to derive from it. */
  readonly approved: boolean;
}

/** A transaction's place in the ledger and what it gave. */
export interface Inclusion {
  readonly id: Hash;
  readonly height: number;
  /** Position among the block's transactions. */
  readonly index: number;
  readonly result: TransactionResult;
}

/** Proves offline that a signed header commits to a transaction and its result. */
export interface InclusionProof {
  readonly transaction: Signed;
  readonly result: TransactionResult;
  readonly transactionPath: MerklePath;
  readonly resultPath: MerklePath;
  readonly header: CertifiedHeader;
}

/** What the state holds under one key, or that it holds nothing. */
export interface ProvedEntry {
  readonly value: Uint8Array | undefined;
  readonly proof: StateProof;
}

/** What the state of a certified header holds under some keys, in their order. */
export interface ProvedState {
  /** Absent before the first block: then the genesis' own state holds it. */
  readonly header: CertifiedHeader | undefined;
  readonly entries: readonly ProvedEntry[];
}

/** One line of an explorer. */
export interface TransactionSummary extends Inclusion {
  /** Absent when the block holds bytes that are no transaction. */
  readonly sender: PublicKey | undefined;
  readonly nonce: number | undefined;
  readonly action: Action | undefined;
  readonly timeMs: number;
}

/** Where the money is, grains. */
export interface Supply {
  /** All there is: fixed by the genesis. */
  readonly total: bigint;
  /** Left in the faucet of a local network. */
  readonly faucet: bigint;
}

/** A block that this node has just executed and written. */
export interface BlockEvent {
  readonly height: number;
  readonly headerHash: Hash;
  readonly stateRoot: Hash;
  readonly timeMs: number;
  readonly inclusions: readonly Inclusion[];
  /** Channels whose record this block changed or removed. */
  readonly channels: readonly Hash[];
  /** Assets whose money this block changed. */
  readonly assets: readonly Hash[];
  /** DIDs whose keys or recoveries this block changed, or who revoked a certificate in it. */
  readonly identities: readonly PublicKey[];
}

/** What replaying a ledger found. */
export interface VerifyReport {
  readonly height: number;
  /** Where the replay began: 0 for the genesis. */
  readonly base: number;
  readonly transactions: number;
  readonly stateRoot: Hash;
  /** Sum of all money at the head, by adding up every record, grains. */
  readonly supply: bigint;
  /** What is wrong, at most 16 findings; empty when all is well. */
  readonly faults: readonly string[];
  /** What this node cannot check for itself, and why; no faults. */
  readonly unchecked: readonly string[];
}

/** Reads of single records, which state proofs answer for as well as a node's own state. */
export type LedgerReads = Pick<
  Ledger,
  | 'account'
  | 'identity'
  | 'isRevoked'
  | 'channel'
  | 'endedChannel'
  | 'asset'
  | 'versionsOf'
  | 'stakeOf'
  | 'delegation'
  | 'rewardsOf'
  | 'licenceOf'
>;

/**
 * A ledger on this node. Reads answer from the last block that it executed, at once. A light ledger answers at once what
 * it follows, which is what concerns its own key, from the last block at which peers proved it; for other records its
 * reads throw `state-unproven` and `read` asks for them. What takes all blocks or the whole state throws `ledger-light`.
 */
export interface Ledger {
  /** The network's full name, which every signature covers. */
  readonly network: string;
  readonly genesis: Genesis;
  readonly mode: 'sequencer' | 'follower' | 'light';
  /** Blocks up to this height need not be here: the ledger began from a snapshot there, or was pruned. 0: all are here. */
  readonly base: number;
  head(): LedgerHead;
  /**
   * What `about` reads: at once where all of it is here, otherwise as peers prove it, at one block; `about` then runs
   * again for whatever else it reads. Rejects with `state-unproven` when nobody proves it.
   */
  read<T>(about: (reads: LedgerReads) => T, options?: { readonly signal?: AbortSignal }): T | Promise<T>;
  /**
   * Resolves with the head once a light ledger's reads are as new as the peers that answer; whoever executes blocks answers
   * with the last one at once. Rejects with `state-unproven` when no peer answers a light one.
   */
  current(options?: { readonly signal?: AbortSignal }): Promise<LedgerHead>;
  /** Ids listed under a key, at most 256. A light ledger has them from peers, who may leave some out. */
  listed(
    kind: ListKind,
    key: Uint8Array,
    options?: { readonly signal?: AbortSignal },
  ): Promise<readonly Hash[]>;
  /** Proves the claim that settled a receipt; `undefined` while there is none, or none that is known. */
  settled(
    sought: ClaimSought,
    options?: { readonly signal?: AbortSignal },
  ): Promise<InclusionProof | undefined>;
  /** A key that was never used has nothing. */
  account(key: PublicKey): { readonly balance: bigint; readonly nonce: number };
  /** A DID that was registered: its keys, its guardians. A DID that was not has one key, itself. */
  identity(did: PublicKey): Identity | undefined;
  /** Whether `issuer` took back its certificate with this serial. */
  isRevoked(issuer: PublicKey, serial: Id): boolean;
  channel(id: Hash): Channel | undefined;
  /** A channel that ended less than `closeDelayBlocks` ago and had paid something. */
  endedChannel(id: Hash): EndedChannel | undefined;
  /** Channels of a key as payer or payee, at most 256. */
  channelsOf(key: PublicKey): readonly Channel[];
  asset(id: Hash): Asset | undefined;
  /** Assets that a key owns a share of, at most 256. */
  assetsOf(owner: PublicKey): readonly Asset[];
  /** Assets that name this one as a parent, at most 256. */
  childrenOf(asset: Hash): readonly Asset[];
  /** Every version of an asset, itself among them, the first before the latest; empty for one that is unknown. */
  versionsOf(asset: Hash): readonly Asset[];
  /** What stands behind each role of a DID, or behind one, its own money and that of others. */
  stakeOf(did: PublicKey, role?: BondRole): readonly StakedBond[];
  /** What `owner` has delegated to a role of `did`; the list `delegations` of the owner names them. */
  delegation(did: PublicKey, role: BondRole, owner: PublicKey): Delegation | undefined;
  /** What a DID earned as a provider in the latest epochs, the latest first, and by which claims. */
  rewardsOf(did: PublicKey): readonly Earning[];
  /** What a key bought and was allowed of an asset. */
  licenceOf(asset: Hash, licensee: PublicKey): Licence;
  /**
   * Hands in a transaction and resolves once a block that this node executed gave it effect. Handing in the same
   * transaction again joins the first or answers from the ledger. Rejects with `tx-invalid` (its bytes or
   * signature) or `tx-refused`, both with the facts `code` and `reason`; a refusal inside a block also names
   * `height`, `index` and `id`. Rejects with `overloaded` when too many wait, `ledger-halted`, and with
   * `cancelled` when the signal aborts or the ledger stops: then the outcome is unknown and `lookup` tells.
   */
  submit(signed: Signed, options?: { readonly signal?: AbortSignal }): Promise<Inclusion>;
  /** Where a transaction is and what it gave, effect or refusal; `undefined` while no block has it. */
  lookup(id: Hash): Inclusion | undefined;
  proof(id: Hash): Promise<InclusionProof | undefined>;
  /**
   * Proves offline what the state holds under at most 128 state keys, all against one signed header. A light ledger
   * rejects with `state-unproven` when no peer proves it.
   */
  prove(keys: readonly Uint8Array[], options?: { readonly signal?: AbortSignal }): Promise<ProvedState>;
  /** Proves what the state holds under a key of `records.ts`, against the head's state root. */
  stateProof(key: Uint8Array): ProvedEntry;
  /** Transactions from the block at `fromHeight` (default: the head) downwards, at most `limit` (default 32, at most 256). */
  transactions(range?: {
    readonly fromHeight?: number;
    readonly limit?: number;
  }): Promise<readonly TransactionSummary[]>;
  supply(): Supply;
  /** Stored blocks from a height upwards, for peers that catch up; bounded in number and bytes. */
  blocks(fromHeight: number): Promise<readonly Uint8Array[]>;
  /** Tells of every block after it was written. Listeners must not throw. Returns how to stop it. */
  onBlock(listener: (block: BlockEvent) => void): () => void;
  /** Replays everything, from the genesis or the base, and compares roots and supply at each height. */
  verify(options?: { readonly signal?: AbortSignal }): Promise<VerifyReport>;
  /**
   * Drops all but the last `keep` blocks while blocks come, a few between two of them, and answers how many went; what stays
   * is what `Chain.prune` keeps. It waits while a replay or a snapshot reads old blocks. Rejects with `cancelled`.
   */
  prune(keep: number, options?: { readonly signal?: AbortSignal }): Promise<number>;
  /** Takes nothing more, finishes the block in progress. The store stays open: it is its owner's. */
  stop(): Promise<void>;
}
