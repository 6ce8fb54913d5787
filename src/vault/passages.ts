/**
 * How passages of a document lie in the store: a few together, sealed as one value under the number of the first.
 * Sealing and keeping each by itself would cost more than indexing it; what is read of a block is one passage.
 */
import { bytes, bytesUpTo, list, optional, record, type Schema, text, uint } from '../protocol/schema.ts';
import type { Chunk, Provenance } from './chunk.ts';
import { chunkKey } from './keys.ts';
import { CHUNK_BYTES_MAX, LICENCE_BYTES_MAX, TITLE_BYTES_MAX } from './limits.ts';

/** Passages of a document that lie together; the last of its blocks may have fewer. */
export const BLOCK_PASSAGES = 8;
const PASSAGE_BYTES_MAX = CHUNK_BYTES_MAX + TITLE_BYTES_MAX + 128;

interface Block extends Provenance {
  readonly document: Uint8Array;
  /** Position of the first one among the chunks of the document. */
  readonly ordinal: number;
  readonly passages: readonly Uint8Array[];
}

const passageRecord: Schema<Pick<Chunk, 'id' | 'start' | 'end' | 'title' | 'text'>> = record('passage', {
  id: bytes(32),
  start: uint(),
  end: uint(),
  title: text(TITLE_BYTES_MAX),
  text: text(CHUNK_BYTES_MAX),
});

const blockRecord: Schema<Block> = record('passages', {
  document: bytes(32),
  ordinal: uint(),
  contributor: bytes(32),
  contribution: optional(bytes(32)),
  licence: text(LICENCE_BYTES_MAX),
  passages: list(bytesUpTo(PASSAGE_BYTES_MAX), BLOCK_PASSAGES),
});

/** The stored form of passages that follow each other in one document, at most `BLOCK_PASSAGES`. */
export function encodePassages(chunks: readonly Chunk[]): Uint8Array {
  const [first] = chunks;
  if (first === undefined) return new Uint8Array(0);
  return blockRecord.encode({ ...first, passages: chunks.map((chunk) => passageRecord.encode(chunk)) });
}

/** The passage at `index` of a block, from 0; `undefined` when it has fewer. Throws `malformed`. */
export function decodePassage(stored: Uint8Array, index: number): Chunk | undefined {
  const { passages, ...shared } = blockRecord.decode(stored);
  const passage = passages[index];
  return passage && chunkOf(passage, index, shared);
}

/** All passages of a block. Throws `malformed`. */
export function decodePassages(stored: Uint8Array): Chunk[] {
  const { passages, ...shared } = blockRecord.decode(stored);
  return passages.map((passage, index) => chunkOf(passage, index, shared));
}

function chunkOf(passage: Uint8Array, index: number, shared: Omit<Block, 'passages'>): Chunk {
  return { ...passageRecord.decode(passage), ...shared, ordinal: shared.ordinal + index };
}

/** The keys under which the block of chunk `number` may lie, likely ones first, with its index there. */
export function* blockKeys(number: number): Generator<readonly [key: Uint8Array, index: number]> {
  // A number is not enough to tell where its document begins; looking for a key that is not there costs little.
  for (let index = 0; index < BLOCK_PASSAGES && index <= number; index++)
    yield [chunkKey(number - index), index];
}

/** The keys of all blocks of a document. */
export function documentBlocks(document: {
  readonly firstChunk: number;
  readonly chunks: number;
}): Uint8Array[] {
  const count = Math.ceil(document.chunks / BLOCK_PASSAGES);
  return Array.from({ length: count }, (_, i) => chunkKey(document.firstChunk + i * BLOCK_PASSAGES));
}
