/**
 * A ledger as a stream of bytes: its genesis and every block from the first on. Who takes one executes each block
 * again, so it is worth what its signatures and roots are worth, whoever handed it over.
 */
import { concat, equalBytes, u32be, utf8 } from '../base/bytes.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import type { Store } from '../base/store.ts';
import { block, type Genesis, genesis as genesisSchema } from '../protocol/block.ts';
import { BLOCK_BYTES_MAX } from '../protocol/limits.ts';
import type { Suite } from '../protocol/suite.ts';
import { BlockFault, type BlockParts, openHeader, replayBlock } from './blocks.ts';
import { type Chain, openChain } from './chain.ts';
import { networkNameOf } from './genesis.ts';
import type { ChainHead } from './layout.ts';
import type { HeadMark } from './mark.ts';
import { createSignatureBook } from './signatures.ts';

const MAGIC = utf8('sahara-ledger-1\n');
const LENGTH_BYTES = 4;

/**
 * The genesis and all blocks up to the present head, piece by piece. Throws `usage` where the ledger began from a
 * snapshot or was pruned, `store-corrupt` when a block is missing, and `cancelled`.
 */
export async function* exportChain(
  { genesis, chain }: { readonly genesis: Genesis; readonly chain: Pick<Chain, 'head' | 'block' | 'base'> },
  { signal }: { readonly signal?: AbortSignal } = {},
): AsyncGenerator<Uint8Array> {
  const { height } = chain.head();
  if (chain.base > 0)
    throw new SaharaError('usage', {
      reason: `blocks 1 to ${chain.base} are not here, for this ledger began from a snapshot or was pruned; export from a peer that has them, or write a snapshot`,
    });
  yield MAGIC;
  yield framed(genesisSchema.encode(genesis));
  for (let at = 1; at <= height; at++) {
    if (signal?.aborted) throw new SaharaError('cancelled');
    const wire = await chain.block(at);
    if (wire === undefined) throw new SaharaError('store-corrupt', { reason: `block ${at} is missing` });
    yield framed(wire);
  }
}

function framed(piece: Uint8Array): Uint8Array {
  return concat(u32be(piece.length), piece);
}

/** An exported ledger: its genesis' bytes, and its blocks as they are read. */
export interface ChainFile {
  readonly genesis: Uint8Array;
  readonly blocks: AsyncIterable<Uint8Array>;
}

/** Opens an exported ledger. Throws `malformed`, while reading blocks too; nothing is verified. */
export async function readChainFile(pieces: AsyncIterable<Uint8Array>): Promise<ChainFile> {
  const read = createFrameReader(pieces);
  const magic = await read.bytes(MAGIC.length);
  if (magic === undefined || !equalBytes(magic, MAGIC))
    throw new SaharaError('malformed', { reason: 'This is no exported ledger' });
  const genesis = await read.frame();
  if (genesis === undefined) throw cutShort();
  return {
    genesis,
    blocks: (async function* () {
      for (let next = await read.frame(); next !== undefined; next = await read.frame()) yield next;
    })(),
  };
}

interface FrameReader {
  /** So many bytes; `undefined` at the end. Throws `malformed` when the end comes in between. */
  bytes(count: number): Promise<Uint8Array | undefined>;
  frame(): Promise<Uint8Array | undefined>;
}

function createFrameReader(pieces: AsyncIterable<Uint8Array>): FrameReader {
  const source = pieces[Symbol.asyncIterator]();
  let waiting: Uint8Array[] = [];
  let size = 0;
  const bytes = async (count: number): Promise<Uint8Array | undefined> => {
    while (size < count) {
      const next = await source.next();
      if (next.done === true) break;
      waiting.push(next.value);
      size += next.value.length;
    }
    if (size === 0) return undefined;
    if (size < count) throw cutShort();
    const all = concat(...waiting);
    waiting = [all.subarray(count)];
    size -= count;
    return all.slice(0, count);
  };
  return {
    bytes,
    async frame() {
      const head = await bytes(LENGTH_BYTES);
      if (head === undefined) return undefined;
      const length = new DataView(head.buffer, head.byteOffset).getUint32(0);
      if (length === 0 || length > BLOCK_BYTES_MAX)
        throw new SaharaError('malformed', { reason: `A piece of ${length} bytes cannot be a block` });
      const frame = await bytes(length);
      if (frame === undefined) throw cutShort();
      return frame;
    },
  };
}

function cutShort(): SaharaError {
  return new SaharaError('malformed', { reason: 'The exported ledger is cut short' });
}

/** What an exported ledger is taken into. */
export interface ImportParts {
  readonly suite: Suite;
  /** The ledger's own store: empty, or holding the beginning of the same ledger. */
  readonly store: Store;
  readonly mark?: HeadMark;
}

/**
 * Executes blocks in order and writes each one that holds; those that the store has already must be the same.
 * Throws `network-mismatch` when the store holds another network, and `block-invalid` with `height` and `reason` at
 * the first block that does not hold: those before it stay, they did. Also `malformed` and `cancelled`.
 */
export async function importChain(
  { suite, store, mark }: ImportParts,
  file: ChainFile,
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<ChainHead> {
  const genesis = genesisSchema.decode(file.genesis);
  const network = networkNameOf(suite, genesis);
  const chain = await openChain({ suite, store, mark }, genesis);
  const signatures = createSignatureBook(suite, network);
  const parts: BlockParts = { suite, network, genesis, signatures, chain, recall: () => undefined };
  for await (const wire of file.blocks) {
    if (signal?.aborted) throw new SaharaError('cancelled');
    await importBlock(parts, wire);
  }
  const { height, headerHash } = chain.head();
  await mark?.write({ genesisHash: suite.sha256(file.genesis), height, headerHash });
  return chain.head();
}

async function importBlock(parts: BlockParts, wire: Uint8Array): Promise<void> {
  const { chain } = parts;
  const refused = (reason: string, height = chain.head().height + 1): SaharaError =>
    new SaharaError('block-invalid', { height, reason });
  try {
    const content = block.decode(wire);
    const header = await openHeader(parts, content.header);
    if (header === undefined) throw refused('The sequencer did not sign it');
    if (header.height > chain.head().height)
      return await chain.commit(await replayBlock(parts, wire, content));
    const stored = await chain.header(header.height);
    if (stored !== undefined && !equalBytes(stored.payload, content.header.payload))
      throw refused('The store holds another block of that height', header.height);
  } catch (error) {
    if (error instanceof BlockFault) throw refused(error.reason, error.height);
    const known = asSaharaError(error);
    throw known.code === 'malformed' ? refused(known.message) : error;
  }
}
