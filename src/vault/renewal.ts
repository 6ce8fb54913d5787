/**
 * Writes the search index of a vault anew from its sealed passages where the rules that make index terms have changed
 * since it was written. Each step is one atomic batch, so what is stopped goes on there at the next start; until the last
 * one the vault is as it was.
 */
import type { Store, StoreOperation } from '../base/store.ts';
import type { VaultCodec } from './codec.ts';
import { type Head, headRecord } from './head.ts';
import { chunksFrom, HEAD_KEY } from './keys.ts';
import { BATCH_CHUNKS_MAX } from './limits.ts';
import { decodePassages } from './passages.ts';
import type { Items } from './sealed/items.ts';
import { buildSegment, type IndexedChunk } from './search/segment.ts';
import { ANALYSIS_VERSION } from './text/words.ts';

/** How far an index is written anew. */
export interface RenewalProgress {
  readonly chunks: number;
  readonly of: number;
}

/** What a vault is made of while its index is written anew. */
export interface RenewalParts {
  readonly store: Store;
  readonly codec: VaultCodec;
  readonly items: Items;
}

/** How to watch and stop it. */
export interface RenewalOptions {
  readonly onRenewal?: ((progress: RenewalProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The head of a vault whose index is of the present rules: `head` itself if it is. Throws the signal's reason, `store-corrupt`. */
export async function renewIndex(
  parts: RenewalParts,
  head: Head,
  { onRenewal, signal }: RenewalOptions,
): Promise<Head> {
  if (head.analysis === ANALYSIS_VERSION) return head;
  const begun = head.renewal?.analysis === ANALYSIS_VERSION ? head.renewal : undefined;
  let renewal = begun ?? { analysis: ANALYSIS_VERSION, next: 0, lengthTotal: 0, segments: [] };
  let present = head;
  let done = renewal.segments.reduce((sum, { chunks }) => sum + chunks, 0);
  for (;;) {
    signal?.throwIfAborted();
    onRenewal?.({ chunks: done, of: head.chunks });
    const chunks = await chunksAt(parts, renewal.next);
    const [first, last] = [chunks[0], chunks.at(-1)];
    if (first === undefined || last === undefined) break;
    const number = present.nextSegment;
    const { operations, lengths } = buildSegment(number, chunks, parts.codec);
    const segment = { number, first: first.number, last: last.number, chunks: chunks.length };
    renewal = {
      ...renewal,
      next: last.number + 1,
      lengthTotal: renewal.lengthTotal + lengths.reduce((sum, [, length]) => sum + length, 0),
      segments: [...renewal.segments, segment],
    };
    present = { ...present, nextSegment: number + 1, renewal };
    await parts.store.batch([...operations, headPut(parts, present)], { sync: true });
    done += chunks.length;
  }
  const { analysis, lengthTotal, segments } = renewal;
  const generation = head.generation + 1;
  // What the older index had is named no more, and goes when the vault is opened.
  const renewed: Head = { ...present, analysis, generation, lengthTotal, segments, renewal: undefined };
  await parts.store.batch([headPut(parts, renewed)], { sync: true });
  return renewed;
}

function headPut({ codec }: RenewalParts, head: Head): StoreOperation {
  return { type: 'put', key: HEAD_KEY, value: codec.seal(HEAD_KEY, headRecord.encode(head)) };
}

/** Some chunks from a number on, in order: whole blocks of passages. */
async function chunksAt({ store, items }: RenewalParts, from: number): Promise<IndexedChunk[]> {
  const chunks: IndexedChunk[] = [];
  for await (const [key, stored] of store.entries(chunksFrom(from))) {
    const first = new DataView(key.buffer, key.byteOffset + key.length - 4).getUint32(0);
    const block = await items.open(key.slice(), stored.slice(), (place) => store.get(place));
    for (const [i, { title, text }] of decodePassages(block).entries()) {
      chunks.push({ number: first + i, title, text });
    }
    if (chunks.length >= BATCH_CHUNKS_MAX) break;
  }
  return chunks;
}
