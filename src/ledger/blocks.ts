/** Making a block, and re-making one that somebody else signed. Neither writes anything. */
import { equalBytes } from '../base/bytes.ts';
import {
  type Block,
  type BlockHeader,
  blockHeader,
  encodeBlock,
  headerHash,
  type TransactionResult,
  transactionResult,
} from '../protocol/block.ts';
import { type Hash, PROTOCOL_VERSION, shortHex } from '../protocol/ids.ts';
import { BLOCK_BYTES_MAX, BLOCK_TRANSACTIONS_MAX } from '../protocol/limits.ts';
import { merkleRoot } from '../protocol/merkle.ts';
import { type Signed, signOne } from '../protocol/signing.ts';
import type { Signer } from '../protocol/suite.ts';
import type { Chain } from './chain.ts';
import { type BlockContext, beginBlock, endBlock, executeBlock, executeTransaction } from './execute.ts';
import { readIdentity, signerOf } from './identities.ts';
import type { ChainHead } from './layout.ts';
import { type Prepared, prepareTransaction } from './prepare.ts';
import { leavesNonce } from './result-codes.ts';
import type { SignatureBook } from './signatures.ts';
import { State, type StateChange, type StateReader } from './state.ts';
import { statementsIn, verifyStatements } from './statements.ts';
import type { Rules } from './transactions/context.ts';
import type { TreeUpdate } from './tree.ts';

/** A block with everything that a commit writes. */
export interface ExecutedBlock {
  readonly header: BlockHeader;
  readonly headerHash: Hash;
  /** Canonical bytes of the whole block. */
  readonly wire: Uint8Array;
  readonly transactions: readonly Prepared[];
  readonly results: readonly TransactionResult[];
  readonly state: State;
  readonly changes: readonly StateChange[];
  readonly update: TreeUpdate;
}

/** What blocks are made with. */
export interface BlockParts extends Rules {
  readonly signatures: SignatureBook;
  readonly chain: Chain;
  /** A transaction that was verified before, by its id. */
  readonly recall: (id: Hash) => Prepared | undefined;
  /** The same by its bytes, where they are looked at often. */
  readonly recallBytes?: (bytes: Uint8Array) => Prepared | undefined;
}

/** A transaction that a proposer left out because it could not even pay its fee. */
export interface LeftOut {
  readonly prepared: Prepared;
  readonly code: number;
}

/** Room that a block keeps for its header and list heads, bytes. */
const HEADER_BYTES_MAX = 4_096;

/** Executes what fits of `candidates` on the head and signs the block that follows. */
export function buildBlock(
  parts: BlockParts,
  signer: Signer,
  proposal: { readonly candidates: readonly Prepared[]; readonly timeMs: number },
): { readonly executed: ExecutedBlock; readonly leftOut: readonly LeftOut[] } {
  const { suite, network, chain } = parts;
  const head = chain.head();
  const state = new State(chain.readState);
  const context = beginBlock(contextOf(parts, head.height + 1), state);
  const transactions: Prepared[] = [];
  const results: TransactionResult[] = [];
  const leftOut: LeftOut[] = [];
  let room = BLOCK_BYTES_MAX - HEADER_BYTES_MAX;
  for (const prepared of proposal.candidates) {
    if (transactions.length === BLOCK_TRANSACTIONS_MAX || prepared.wire.length > room) break;
    const result = executeTransaction(context, state, prepared);
    if (leavesNonce(result.code)) {
      leftOut.push({ prepared, code: result.code });
      continue;
    }
    room -= prepared.wire.length;
    transactions.push(prepared);
    results.push(result);
  }
  endBlock(context, state);
  const changes = state.changes();
  const update = chain.tree.update(changes);
  const header: BlockHeader = {
    version: PROTOCOL_VERSION,
    network,
    height: context.height,
    previous: head.headerHash,
    transactionsRoot: merkleRoot(
      suite,
      transactions.map(({ wire }) => wire),
    ),
    resultsRoot: resultsRoot(parts, results),
    stateRoot: update.root,
    proposer: parts.genesis.sequencer,
    timeMs: Math.max(head.timeMs, proposal.timeMs),
  };
  const payload = blockHeader.encode(header);
  const signedHeader = signOne(suite, signer, network, { type: 'block-header', payload });
  const wire = encodeBlock(
    signedHeader,
    transactions.map((one) => one.wire),
  );
  const hash = headerHash(suite, payload);
  return {
    executed: { header, headerHash: hash, wire, transactions, results, state, changes, update },
    leftOut,
  };
}

/**
 * Why a block is not what its header says. The header is the sequencer's: unless the body was altered on the way
 * (`carrier`), it is a defect or a lie of the sequencer.
 */
export class BlockFault extends Error {
  readonly height: number;
  readonly reason: string;
  readonly blame: 'sequencer' | 'carrier';

  constructor(height: number, reason: string, blame: 'sequencer' | 'carrier' = 'sequencer') {
    super(`block ${height}: ${reason}`);
    this.name = 'BlockFault';
    this.height = height;
    this.reason = reason;
    this.blame = blame;
  }
}

/** The header of a signed one, when this network's sequencer signed it; `undefined` otherwise. */
export async function openHeader(parts: BlockParts, message: Signed): Promise<BlockHeader | undefined> {
  const publicKey = parts.genesis.sequencer;
  if (!(await parts.signatures.verify({ type: 'block-header', publicKey, message }))) return undefined;
  return blockHeader.decode(message.payload);
}

/** Re-executes the block that follows the head and compares everything it says. Throws `BlockFault`. */
export async function replayBlock(
  parts: BlockParts,
  wire: Uint8Array,
  content: Block,
): Promise<ExecutedBlock> {
  const { suite, network, chain } = parts;
  const head = chain.head();
  const header = blockHeader.decode(content.header.payload);
  const transactions = content.transactions.map((message) => {
    const prepared = prepareTransaction(suite, network, message);
    const known = parts.recall(prepared.id);
    return known !== undefined && equalBytes(known.wire, prepared.wire) ? known : prepared;
  });
  const root = merkleRoot(
    suite,
    transactions.map((one) => one.wire),
  );
  if (!equalBytes(root, header.transactionsRoot)) {
    throw new BlockFault(header.height, 'its transactions are not those of its header', 'carrier');
  }
  const fault = headerFault(parts, head, header, wire.length);
  if (fault !== undefined) throw new BlockFault(header.height, fault);
  await verifySignatures(parts.signatures, chain.readState, transactions);
  const state = new State(chain.readState);
  const results = executeBlock(contextOf(parts, header.height), state, transactions);
  demandRoot(header.height, 'results', header.resultsRoot, resultsRoot(parts, results));
  const changes = state.changes();
  const update = chain.tree.update(changes);
  demandRoot(header.height, 'state', header.stateRoot, update.root);
  const hash = headerHash(suite, content.header.payload);
  return { header, headerHash: hash, wire, transactions, results, state, changes, update };
}

/** Throws the fault of a header whose root is not what its transactions gave here. */
function demandRoot(height: number, what: 'results' | 'state', said: Hash, found: Hash): void {
  if (equalBytes(said, found)) return;
  const roots = `its header says ${shortHex(said)}, its transactions give ${shortHex(found)}`;
  throw new BlockFault(height, `its ${what} root is not what its transactions give: ${roots}`);
}

function headerFault(
  parts: BlockParts,
  head: ChainHead,
  header: BlockHeader,
  sizeBytes: number,
): string | undefined {
  if (sizeBytes > BLOCK_BYTES_MAX) return 'it is too large';
  if (header.version !== PROTOCOL_VERSION) return 'its version is not known';
  if (header.network !== parts.network) return 'it belongs to another network';
  if (header.height !== head.height + 1) return 'it does not follow the head';
  if (!equalBytes(header.previous, head.headerHash)) return 'it names another block as the one before';
  if (!equalBytes(header.proposer, parts.genesis.sequencer)) return 'its proposer is not the sequencer';
  return header.timeMs < head.timeMs ? 'it is older than the block before' : undefined;
}

/** The root over the results of a block. */
export function resultsRoot(parts: BlockParts, results: readonly TransactionResult[]): Hash {
  return merkleRoot(
    parts.suite,
    results.map((result) => transactionResult.encode(result)),
  );
}

function contextOf(parts: BlockParts, height: number): BlockContext {
  const { suite, network, genesis, signatures, voters } = parts;
  return { suite, network, genesis, signatures, voters, height, proposer: genesis.sequencer };
}

/** Verifies ahead of execution, off the event loop, what execution will ask about. */
export async function verifySignatures(
  signatures: SignatureBook,
  readState: StateReader,
  transactions: readonly Prepared[],
): Promise<void> {
  await Promise.all(transactions.map((one) => verifyTransaction(signatures, readState, one)));
}

/** Verifies off the event loop what executing one transaction will ask about. Answers whether its sender signed. */
export function verifyTransaction(
  signatures: SignatureBook,
  readState: StateReader,
  prepared: Prepared,
): Promise<boolean> {
  const { content, signed } = prepared;
  if (content.fault !== undefined) return Promise.resolve(false);
  const { sender, action } = content.transaction;
  const publicKey = signerOf(signatures.suite, readIdentity(readState, sender), content.transaction);
  if (publicKey === undefined) return Promise.resolve(false);
  const own = signatures.verify({ type: 'transaction', publicKey, message: signed });
  const { opened } = content;
  const carries = opened.claims.length > 0 || opened.release !== undefined || opened.evidence !== undefined;
  if (!carries) return own;
  return own.then(async (ok) => {
    // Work for what is inside only once its sender stands for it.
    if (ok) await verifyStatements(signatures, statementsIn(new State(readState), 0, { action, opened }));
    return ok;
  });
}
