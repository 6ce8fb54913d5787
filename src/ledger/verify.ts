/** Replays a ledger and compares everything that was stored. */
import { equalBytes } from '../base/bytes.ts';
import { asSaharaError } from '../base/errors.ts';
import { createMemoryStore, type Store } from '../base/store.ts';
import { type Block, block } from '../protocol/block.ts';
import { checkSigned, type Signed } from '../protocol/signing.ts';
import { BlockFault, type BlockParts, type ExecutedBlock, replayBlock } from './blocks.ts';
import { type Chain, openChain } from './chain.ts';
import { supplyOf } from './genesis.ts';
import type { VerifyReport } from './ledger.ts';
import { heldIn } from './records.ts';
import { rewind } from './rewind.ts';
import { createSignatureBook } from './signatures.ts';

const FAULTS_MAX = 16;

/** Who stands for blocks: by default the sequencer, whose signature each carries. */
export interface BlockAuthority {
  /** Whether the header where a replay begins is to be believed. */
  vouches(header: Signed): boolean;
  /** Executes the block that follows the head again. Throws `BlockFault`. */
  replay(parts: BlockParts, wire: Uint8Array, content: Block): Promise<ExecutedBlock>;
}

/** How a ledger is replayed. */
export interface VerifyOptions {
  readonly authority?: BlockAuthority;
  readonly signal?: AbortSignal;
  /** An empty store for the replayed state. Default: in memory, which takes as much as the state is large. */
  readonly scratch?: Store;
}

/**
 * Replays `parts.chain` up to its present head, from its genesis or, where blocks are not here, from its base: signatures,
 * chain of headers, results, state roots and supply at every height, then compares every stored record with its replayed
 * one and adds up all money. What could not be checked is named, and is no fault.
 */
export async function verifyChain(parts: BlockParts, options: VerifyOptions = {}): Promise<VerifyReport> {
  const release = parts.chain.hold();
  try {
    return await verifyHeld(parts, options);
  } finally {
    release();
  }
}

async function verifyHeld(parts: BlockParts, options: VerifyOptions): Promise<VerifyReport> {
  const { suite, network, genesis, chain } = parts;
  const { height } = chain.head();
  const { base } = chain;
  const { authority = sequencerOf(parts) } = options;
  const faults: string[] = [];
  const replay = await openReplay(parts, { ...options, authority }, faults);
  const unchecked = base === 0 ? [] : [notHere(base)];
  if (replay === undefined)
    return {
      height,
      base,
      transactions: 0,
      stateRoot: chain.head().stateRoot,
      supply: 0n,
      faults,
      unchecked,
    };
  const signatures = createSignatureBook(suite, network);
  const replayParts = { ...parts, signatures, chain: replay, recall: () => undefined };
  let transactions = 0;
  for (let at = replay.head().height + 1; at <= height && faults.length === 0; at++) {
    options.signal?.throwIfAborted();
    const outcome = await replayOne(replayParts, await chain.block(at), { height: at, authority });
    if (typeof outcome === 'string') faults.push(outcome);
    else transactions += outcome;
  }
  const supply = await compareStates(chain, replay, faults, height);
  if (faults.length === 0 && supply !== supplyOf(genesis)) {
    faults.push(`all money together is ${supply} grains, the genesis says ${supplyOf(genesis)}`);
  }
  return { height, base, transactions, stateRoot: replay.head().stateRoot, supply, faults, unchecked };
}

/** The ledger as it was where the replay begins; `undefined`, and a fault, where it cannot be rebuilt. */
async function openReplay(
  { suite, genesis, chain }: BlockParts,
  {
    scratch = createMemoryStore(),
    signal,
    authority,
  }: VerifyOptions & { readonly authority: BlockAuthority },
  faults: string[],
): Promise<Chain | undefined> {
  try {
    const { vouches } = authority;
    if (chain.base > 0) await rewind({ suite, genesis, chain, scratch, vouches }, signal);
    return await openChain({ suite, store: scratch }, genesis);
  } catch (error) {
    const { code, facts } = asSaharaError(error);
    if (code === 'cancelled') throw error;
    faults.push(`block ${facts.height ?? chain.base}: ${facts.reason ?? code}`);
    return undefined;
  }
}

function notHere(base: number): string {
  return `blocks 1 to ${base} are not here: that they lead to the state after block ${base} rests on the sequencer's signature under its header`;
}

function sequencerOf({ suite, network, genesis }: BlockParts): BlockAuthority {
  const publicKey = genesis.sequencer;
  return {
    vouches: (header) => checkSigned(suite, network, 'block-header', publicKey, header) === undefined,
    async replay(parts, wire, content) {
      const claim = { type: 'block-header', publicKey, message: content.header };
      if (await parts.signatures.verify(claim)) return replayBlock(parts, wire, content);
      const { height } = parts.chain.head();
      throw new BlockFault(height + 1, 'the sequencer did not sign it');
    },
  };
}

async function replayOne(
  parts: BlockParts,
  wire: Uint8Array | undefined,
  { height, authority }: { readonly height: number; readonly authority: BlockAuthority },
): Promise<number | string> {
  if (wire === undefined) return `block ${height} is missing`;
  try {
    const executed = await authority.replay(parts, wire, block.decode(wire));
    await parts.chain.commit(executed);
    return executed.transactions.length;
  } catch (error) {
    return error instanceof BlockFault ? error.message : `block ${height}: ${asSaharaError(error).message}`;
  }
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
