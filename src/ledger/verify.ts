/** Replays a ledger from its genesis and compares everything that was stored. */
import { equalBytes } from '../base/bytes.ts';
import { asSaharaError } from '../base/errors.ts';
import { createMemoryStore, type Store } from '../base/store.ts';
import { block } from '../protocol/block.ts';
import { BlockFault, type BlockParts, replayBlock } from './blocks.ts';
import { type Chain, openChain } from './chain.ts';
import { supplyOf } from './genesis.ts';
import type { VerifyReport } from './ledger.ts';
import { heldIn } from './records.ts';
import { createSignatureBook } from './signatures.ts';

const FAULTS_MAX = 16;

/** How a ledger is replayed. */
export interface VerifyOptions {
  readonly signal?: AbortSignal;
  /** An empty store for the replayed state. Default: in memory, which takes as much as the state is large. */
  readonly scratch?: Store;
}

/**
 * Replays `parts.chain` up to its present head: signatures, chain of headers, results, state roots and supply at
 * every height, then compares every stored record with its replayed one and adds up all money.
 */
export async function verifyChain(parts: BlockParts, options: VerifyOptions = {}): Promise<VerifyReport> {
  const { suite, network, genesis, chain } = parts;
  const { height } = chain.head();
  const replay = await openChain({ suite, store: options.scratch ?? createMemoryStore() }, genesis);
  const signatures = createSignatureBook(suite, network);
  const replayParts = { ...parts, signatures, chain: replay, recall: () => undefined };
  const faults: string[] = [];
  let transactions = 0;
  for (let at = 1; at <= height && faults.length === 0; at++) {
    options.signal?.throwIfAborted();
    const outcome = await replayOne(replayParts, await chain.block(at), { height: at, base: chain.base });
    if (typeof outcome === 'string') faults.push(outcome);
    else transactions += outcome;
  }
  const supply = await compareStates(chain, replay, faults, height);
  if (faults.length === 0 && supply !== supplyOf(genesis)) {
    faults.push(`all money together is ${supply} grains, the genesis says ${supplyOf(genesis)}`);
  }
  return { height, transactions, stateRoot: replay.head().stateRoot, supply, faults };
}

async function replayOne(
  parts: BlockParts,
  wire: Uint8Array | undefined,
  { height, base }: { readonly height: number; readonly base: number },
): Promise<number | string> {
  if (wire === undefined) return missing(height, base);
  try {
    const content = block.decode(wire);
    const claim = { type: 'block-header', publicKey: parts.genesis.sequencer, message: content.header };
    if (!(await parts.signatures.verify(claim))) return `block ${height}: the sequencer did not sign it`;
    const executed = await replayBlock(parts, wire, content);
    await parts.chain.commit(executed);
    return executed.transactions.length;
  } catch (error) {
    return error instanceof BlockFault ? error.message : `block ${height}: ${asSaharaError(error).message}`;
  }
}

function missing(height: number, base: number): string {
  if (height > base) return `block ${height} is missing`;
  return `blocks 1 to ${base} are not here: this ledger began from a snapshot and cannot be replayed from its genesis`;
}

/** Adds up the replayed money. Compares records only while the ledger has not moved on. */
async function compareStates(chain: Chain, replay: Chain, faults: string[], height: number): Promise<bigint> {
  const stored = chain.stateEntries()[Symbol.asyncIterator]();
  let supply = 0n;
  let differs = false;
  for await (const [key, value] of replay.stateEntries()) {
    supply += heldIn(key, value);
    if (differs || faults.length > 0) continue;
    const next = await stored.next();
    differs = next.done === true || !equalBytes(next.value[0], key) || !equalBytes(next.value[1], value);
  }
  const more = faults.length === 0 && !differs && (await stored.next()).done !== true;
  await stored.return?.();
  if ((differs || more) && chain.head().height === height && faults.length < FAULTS_MAX) {
    faults.push('the stored state is not what its blocks give');
  }
  return supply;
}
