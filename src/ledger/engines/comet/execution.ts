/** Executing what consensus decided. Writes nothing. */

import { asSaharaError } from '../../../base/errors.ts';
import { type BlockHeader, blockHeader, encodeBlock, headerHash } from '../../../protocol/block.ts';
import type { PublicKey } from '../../../protocol/ids.ts';
import { PROTOCOL_VERSION } from '../../../protocol/ids.ts';
import { merkleRoot } from '../../../protocol/merkle.ts';
import type { Signed } from '../../../protocol/signing.ts';
import { signed } from '../../../protocol/signing.ts';
import { type BlockParts, type ExecutedBlock, resultsRoot, verifySignatures } from '../../blocks.ts';
import { executeBlock } from '../../execute.ts';
import { type Prepared, prepareTransaction } from '../../prepare.ts';
import { isUsed, slash } from '../../stake.ts';
import { State } from '../../state.ts';
import type { Voter } from '../../transactions/context.ts';
import { doubleSigningId } from '../../transactions/double-signing.ts';
import type { Offender } from './decisions.ts';

/** A block that consensus decided on, in the ledger's terms. */
export interface DecidedBlock {
  readonly transactions: readonly Prepared[];
  readonly timeMs: number;
  /** Absent when nobody is known by its address: then the fees go into the reward pool. */
  readonly proposer: PublicKey | undefined;
  readonly offenders: readonly Offender[];
  /** Who votes by the state of the head. Asked only where it matters. */
  readonly voters: () => readonly Voter[] | Promise<readonly Voter[]>;
}

/** What a header names when nobody is known to have proposed its block. */
export const NOBODY: PublicKey = new Uint8Array(32);

/** A header that no key signs: what consensus certifies is its hash. */
export function unsignedHeader(header: BlockHeader): Signed {
  return { payload: blockHeader.encode(header), signature: new Uint8Array(0), sides: 0, siblings: [] };
}

/** Bytes of consensus as a transaction. Bytes that are none make one that every node refuses for the same reason. */
export function prepareBytes(parts: BlockParts, bytes: Uint8Array): Prepared {
  const same = parts.recallBytes?.(bytes);
  if (same !== undefined) return same;
  const prepared = prepareTransaction(parts.suite, parts.network, signedIn(bytes));
  const known = parts.recall(prepared.id);
  return known !== undefined && Buffer.compare(known.wire, prepared.wire) === 0 ? known : prepared;
}

function signedIn(bytes: Uint8Array): Signed {
  try {
    return signed.decode(bytes);
  } catch (error) {
    if (asSaharaError(error).code !== 'malformed') throw error;
    return { payload: bytes, signature: new Uint8Array(0), sides: 0, siblings: [] };
  }
}

/** Executes the block that follows the head. */
export async function executeDecided(parts: BlockParts, decided: DecidedBlock): Promise<ExecutedBlock> {
  const { suite, network, genesis, signatures, chain } = parts;
  const { transactions, proposer, offenders } = decided;
  await verifySignatures(signatures, chain.readState, transactions);
  const head = chain.head();
  const height = head.height + 1;
  const state = new State(chain.readState);
  for (const offender of offenders) punish(parts, state, { ...offender, at: height });
  // Finding out may take a walk over all bonds.
  const voters = transactions.some(isVote) ? await decided.voters() : [];
  const context = { suite, network, genesis, signatures, height, proposer, voters: () => voters };
  const results = executeBlock(context, state, transactions);
  const changes = state.changes();
  const update = chain.tree.update(changes);
  const wires = transactions.map(({ wire }) => wire);
  const header: BlockHeader = {
    version: PROTOCOL_VERSION,
    network,
    height,
    previous: head.headerHash,
    transactionsRoot: merkleRoot(suite, wires),
    resultsRoot: resultsRoot(parts, results),
    stateRoot: update.root,
    proposer: proposer ?? NOBODY,
    timeMs: Math.max(head.timeMs, decided.timeMs),
  };
  const unsigned = unsignedHeader(header);
  const hash = headerHash(suite, unsigned.payload);
  const wire = encodeBlock(unsigned, wires);
  return { header, headerHash: hash, wire, transactions, results, state, changes, update };
}

function isVote({ content }: Prepared): boolean {
  return content.fault === undefined && content.transaction.action.type === 'approve-upgrade';
}

function punish(
  parts: BlockParts,
  state: State,
  { did, height, at }: Offender & { readonly at: number },
): void {
  const evidence = doubleSigningId(parts.suite, parts.network, did, height);
  if (isUsed(state, evidence)) return;
  const rules = { genesis: parts.genesis, height: at };
  slash(state, rules, { did, role: 'validator', evidence, compensation: 0n, to: did, informer: undefined });
}
