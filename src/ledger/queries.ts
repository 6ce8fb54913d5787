/** Reads of a ledger's committed state, lists and blocks. */
import { block, blockHeader, type TransactionResult, transactionResult } from '../protocol/block.ts';
import type { Hash, PublicKey } from '../protocol/ids.ts';
import { ASSET_VERSIONS_MAX } from '../protocol/limits.ts';
import { merklePathOf } from '../protocol/merkle.ts';
import { signed } from '../protocol/signing.ts';
import type { BlockParts } from './blocks.ts';
import { supplyOf } from './genesis.ts';
import { identityIn, revokedIn } from './identities.ts';
import type {
  Asset,
  Channel,
  EndedChannel,
  InclusionProof,
  Ledger,
  LedgerReads,
  Licence,
  Supply,
  TransactionSummary,
} from './ledger.ts';
import {
  BLOCKS_ANSWER_BYTES_MAX,
  BLOCKS_ANSWERED_MAX,
  LISTED_MAX,
  TRANSACTIONS_LISTED_MAX,
} from './limits.ts';
import { type ListKind, readList } from './listings.ts';
import { prepareTransaction } from './prepare.ts';
import { delegationIn, rewardsIn, stakeIn } from './queries-stake.ts';
import {
  ACCOUNTS,
  APPROVALS,
  ASSETS,
  CHANNELS,
  FAUCETS,
  GRANTS,
  LANES,
  laneId,
  licenseeId,
  ONLY,
  REVENUES,
  stateKey,
  type Table,
  VERSIONS,
} from './records.ts';
import { ENDED } from './records-channel.ts';

const TRANSACTIONS_LISTED_DEFAULT = 32;
/** What a channel's lane has that no answer brought. */
const NOTHING_CLAIMED = { paid: 0n, total: 0n, frozen: undefined };

/** The reading half of a ledger. */
export type Queries = Pick<
  Ledger,
  | 'account'
  | 'identity'
  | 'isRevoked'
  | 'channel'
  | 'channelsOf'
  | 'endedChannel'
  | 'asset'
  | 'assetsOf'
  | 'childrenOf'
  | 'versionsOf'
  | 'stakeOf'
  | 'delegation'
  | 'rewardsOf'
  | 'licenceOf'
  | 'lookup'
  | 'proof'
  | 'stateProof'
  | 'transactions'
  | 'supply'
  | 'blocks'
  | 'read'
  | 'current'
  | 'listed'
  | 'settled'
>;

/** The reading half of the ledger in `parts.chain`. */
export function createQueries(parts: BlockParts): Queries {
  const { chain, genesis } = parts;
  const read = <T>(table: Table<T>, id: Uint8Array): T | undefined => {
    const stored = chain.readState(stateKey(table, id));
    return stored === undefined ? undefined : table.schema.decode(stored);
  };
  const reads = readsFrom(read);
  const { channel, asset } = reads;
  return {
    ...reads,
    read: (about) => about(reads),
    current: async () => chain.head(),
    listed: async (kind, key) => readList(chain.readLists, kind, key, LISTED_MAX),
    async settled(sought) {
      const id = await chain.claim(sought);
      return id && inclusionProofOf(parts, id);
    },
    channelsOf: (key) => listed(chain.readLists, 'channels', key, channel),
    assetsOf: (owner) => listed(chain.readLists, 'assets', owner, asset),
    childrenOf: (id) => listed(chain.readLists, 'children', id, asset),
    lookup: (id) => chain.lookup(id),
    proof: (id) => inclusionProofOf(parts, id),
    stateProof: (key) => ({ value: chain.readState(key), proof: chain.tree.prove(key) }),
    transactions: (range = {}) => summaries(parts, range),
    supply: (): Supply => ({ total: supplyOf(genesis), faucet: read(FAUCETS, ONLY)?.left ?? 0n }),
    blocks: (fromHeight) => storedBlocks(parts, fromHeight),
  };
}

/** Reads one record of the state. */
export type ReadRecord = <T>(table: Table<T>, id: Uint8Array) => T | undefined;

/** Whatever a ledger answers about single records, from `read`: a node's own state, or what a light client proved. */
export function readsFrom(read: ReadRecord): LedgerReads {
  return {
    account: (key) => accountIn(read, key),
    identity: (did) => identityIn(read, did),
    isRevoked: (issuer, serial) => revokedIn(read, issuer, serial),
    channel: (id) => channelIn(read, id),
    endedChannel: (id) => endedIn(read, id),
    asset: (id) => assetIn(read, id),
    versionsOf: (id) => versionsIn(read, id),
    stakeOf: (did, role) => stakeIn(read, did, role),
    delegation: (did, role, owner) => delegationIn(read, did, role, owner),
    rewardsOf: (did) => rewardsIn(read, did),
    licenceOf: (id, licensee) => licenceIn(read, id, licensee),
  };
}

/** What an account has, and how many of its transactions were executed. */
export interface Account {
  readonly balance: bigint;
  readonly nonce: number;
}

/** The account of `key`; one that was never used is empty. */
export function accountIn(read: ReadRecord, key: PublicKey): Account {
  const { balance, nonce } = read(ACCOUNTS, key) ?? { balance: 0n, nonce: 0 };
  return { balance, nonce };
}

/** The channel `id` with its lanes. */
export function channelIn(read: ReadRecord, id: Hash): Channel | undefined {
  const stored = read(CHANNELS, id);
  if (stored === undefined) return undefined;
  const { payer, payee, deposit, claimed, closeAt, revision, withdrawal } = stored;
  const lanes = stored.lanes.map((lane) => {
    const { paid, total, frozen } = read(LANES, laneId(id, lane)) ?? NOTHING_CLAIMED;
    return { lane, paid, total, ...(frozen && { frozen }) };
  });
  const voucherKeys = stored.voucherKeys.map(({ key, until }) => ({
    key,
    ...(until !== undefined && { until }),
  }));
  const money = { deposit, claimed, revision, ...(withdrawal && { withdrawal }) };
  const open = { id, payer, payee, ...money, voucherKeys, lanes };
  return closeAt === undefined ? { ...open, state: 'open' } : { ...open, state: 'closing', closeAt };
}

/** A channel that ended lately, with what its lanes paid. */
export function endedIn(read: ReadRecord, id: Hash): EndedChannel | undefined {
  const stored = read(ENDED, id);
  if (stored === undefined) return undefined;
  const { payer, payee, until } = stored;
  const lanes = stored.lanes.map(({ lane, paid, frozen }) => ({ lane, paid, ...(frozen && { frozen }) }));
  return { id, payer, payee, until, lanes };
}

/** The asset `id` with its revenue. */
export function assetIn(read: ReadRecord, id: Hash): Asset | undefined {
  const facts = read(ASSETS, id);
  const revenue = read(REVENUES, id);
  if (facts?.definition.type !== 'register-asset' || revenue === undefined) return undefined;
  const { type: _, ...definition } = facts.definition;
  const { bounty: bountyPaid, ...money } = revenue;
  return { id, registrant: facts.registrant, depth: facts.depth, ...definition, ...money, bountyPaid };
}

/** What `licensee` bought and was allowed of the asset `id`. */
export function licenceIn(read: ReadRecord, id: Hash, licensee: PublicKey): Licence {
  const of = licenseeId(id, licensee);
  return { grant: read(GRANTS, of), approved: read(APPROVALS, of) !== undefined };
}

/** Every version of the asset `id`, the first before the latest. */
export function versionsIn(read: ReadRecord, id: Hash): readonly Asset[] {
  const versions: Asset[] = [];
  let at: Hash | undefined = read(VERSIONS, id)?.first ?? id;
  while (at !== undefined && versions.length < ASSET_VERSIONS_MAX) {
    const found = assetIn(read, at);
    if (found === undefined) break;
    versions.push(found);
    at = read(VERSIONS, at)?.next;
  }
  return versions;
}

function listed<T>(
  readLists: (key: Uint8Array) => Uint8Array | undefined,
  kind: ListKind,
  key: PublicKey,
  find: (id: Hash) => T | undefined,
): readonly T[] {
  return readList(readLists, kind, key, LISTED_MAX).flatMap((id) => find(id) ?? []);
}

async function inclusionProofOf({ suite, chain }: BlockParts, id: Hash): Promise<InclusionProof | undefined> {
  const place = chain.lookup(id);
  if (place === undefined) return undefined;
  const [stored, results] = await Promise.all([chain.block(place.height), chain.results(place.height)]);
  if (stored === undefined || results === undefined) return undefined;
  const content = block.decode(stored);
  const transaction = content.transactions[place.index];
  if (transaction === undefined) return undefined;
  const leaves = content.transactions.map((one) => signed.encode(one));
  const resultLeaves = results.map((result) => transactionResult.encode(result));
  return {
    transaction,
    result: place.result,
    transactionPath: merklePathOf(suite, leaves, place.index),
    resultPath: merklePathOf(suite, resultLeaves, place.index),
    header: content.header,
  };
}

async function summaries(
  parts: BlockParts,
  range: { readonly fromHeight?: number; readonly limit?: number },
): Promise<readonly TransactionSummary[]> {
  const limit = Math.min(range.limit ?? TRANSACTIONS_LISTED_DEFAULT, TRANSACTIONS_LISTED_MAX);
  const head = parts.chain.head().height;
  const found: TransactionSummary[] = [];
  // Blocks without transactions are skipped, but not without end.
  let height = Math.min(range.fromHeight ?? head, head);
  for (
    let read = 0;
    height > 0 && found.length < limit && read < 4 * TRANSACTIONS_LISTED_MAX;
    read++, height--
  ) {
    const [stored, results] = await Promise.all([parts.chain.block(height), parts.chain.results(height)]);
    if (stored !== undefined && results !== undefined) found.push(...summariesOf(parts, stored, results));
  }
  return found.slice(0, limit);
}

function summariesOf(
  { suite, network }: BlockParts,
  stored: Uint8Array,
  results: readonly TransactionResult[],
): readonly TransactionSummary[] {
  const content = block.decode(stored);
  const { height, timeMs } = blockHeader.decode(content.header.payload);
  const lines = content.transactions.map((message, index): TransactionSummary => {
    const prepared = prepareTransaction(suite, network, message);
    const known = prepared.content.fault === undefined ? prepared.content.transaction : undefined;
    const result = results[index] ?? { code: 0, moved: 0n };
    const { sender, nonce, action } = known ?? { sender: undefined, nonce: undefined, action: undefined };
    return { id: prepared.id, height, index, result, sender, nonce, action, timeMs };
  });
  return lines.reverse();
}

async function storedBlocks({ chain }: BlockParts, fromHeight: number): Promise<readonly Uint8Array[]> {
  const blocks: Uint8Array[] = [];
  let bytes = 0;
  const last = Math.min(chain.head().height, fromHeight + BLOCKS_ANSWERED_MAX - 1);
  for (let height = Math.max(1, fromHeight); height <= last; height++) {
    const stored = await chain.block(height);
    if (stored === undefined || (blocks.length > 0 && bytes + stored.length > BLOCKS_ANSWER_BYTES_MAX)) break;
    blocks.push(stored);
    bytes += stored.length;
  }
  return blocks;
}
