/**
 * Vectors of a vault's chunks under one embedding model: sealed in the vault's store, their signs in memory. A question
 * is held against all signs first, and against the exact vectors of the nearest few then. There is no graph, so that
 * nothing tells who neighbours whom, and what is deleted is gone: a chunk's vectors, of all models, go in the batch that
 * removes the chunk. What it finds decides no money: only which passages an answer is looked for in.
 */
import { prefixEnd } from '../../base/bytes.ts';
import { SaharaError } from '../../base/errors.ts';
import type { Store, StoreOperation } from '../../base/store.ts';
import type { VaultCodec } from '../codec.ts';
import { vectorKey, vectorRange, vectorsRange } from '../keys.ts';
import type { Embedder } from './embedder.ts';
import type { Corpus } from './search.ts';

/** Texts embedded at a time. */
const EMBED_BATCH = 64;
/** Nearest by signs that are compared exactly. */
const EXACT_MAX = 200;
/** Most numbers of a vector. */
const DIMENSIONS_MAX = 8192;
const MODEL_BYTES = 8;
const TAG_BYTES = 1;

/** A chunk and how near it is: the cosine of the angle to the question. */
export interface NearChunk {
  readonly number: number;
  readonly nearness: number;
}

/** What vectors are kept with and made by. */
interface VectorParts {
  readonly store: Store;
  readonly codec: VaultCodec;
  readonly embedder: Embedder;
}

/** What vectors follow. */
export interface EmbeddedCorpus extends Corpus {
  /** Runs `work` when no document is being changed. */
  quiet<T>(work: () => Promise<T>): Promise<T>;
}

/** What goes with the making of vectors. */
export interface SyncOptions {
  readonly signal: AbortSignal;
  /** Told after each batch how many vectors there are. */
  readonly progress?: (size: number) => void;
}

/** Vectors of one vault under one model. */
export class VectorIndex {
  readonly #parts: VectorParts;
  readonly #model: Uint8Array;
  /** Signs of each chunk's vector, 32 in a number. */
  readonly #signs = new Map<number, Uint32Array>();
  #dimensions = 0;
  /** Generation of the corpus of which every chunk has its vector. */
  #wholeAt: number | undefined;

  private constructor(parts: VectorParts) {
    this.#parts = parts;
    this.#model = parts.embedder.digest.subarray(0, MODEL_BYTES);
  }

  /** Reads the signs of what is there. Throws `store-corrupt`. */
  static async open(parts: VectorParts): Promise<VectorIndex> {
    const index = new VectorIndex(parts);
    for await (const [key, stored] of parts.store.entries(vectorRange(index.#model))) {
      const number = new DataView(key.buffer, key.byteOffset + key.length - 4).getUint32(0);
      index.#remember(number, vectorOf(parts.codec.open(key, stored)));
    }
    return index;
  }

  /** Chunks that have a vector. */
  get size(): number {
    return this.#signs.size;
  }

  /**
   * Embeds what has no vector yet and forgets what is gone, in batches; what is done stays done. Throws what the embedder
   * throws, `backend-failed` for vectors that are none, and the signal's reason.
   */
  async sync(corpus: EmbeddedCorpus, options: SyncOptions): Promise<void> {
    const { index } = corpus;
    const { generation } = corpus.stats();
    for (const number of this.#signs.keys()) {
      if (index.lengthOf(number) === undefined) this.#signs.delete(number);
    }
    let batch: Text[] = [];
    for (let number = 0; number < index.lengths.length; number++) {
      if (index.lengthOf(number) === undefined || this.#signs.has(number)) continue;
      const chunk = await corpus.chunkAt(number);
      if (chunk !== undefined) batch.push({ number, text: `${chunk.title}\n${chunk.text}` });
      if (batch.length < EMBED_BATCH) continue;
      await this.#embed(corpus, batch, options);
      batch = [];
    }
    if (batch.length > 0) await this.#embed(corpus, batch, options);
    this.#wholeAt = generation;
  }

  /** Whether every chunk of a corpus as it is now has its vector, as far as the last `sync` tells. */
  isWhole(corpus: Corpus): boolean {
    return this.#wholeAt === corpus.stats().generation;
  }

  /** The nearest of the chunks that `lengths` shows, nearest first, equals in the order of their numbers. */
  async nearest(question: Float32Array, limit: number, lengths: Uint16Array): Promise<readonly NearChunk[]> {
    if (this.#signs.size === 0) return [];
    this.#checked(question);
    const wanted = normal(question);
    const signs = signsOf(wanted);
    const bySigns: { readonly number: number; readonly apart: number }[] = [];
    for (const [number, theirs] of this.#signs) {
      if ((lengths[number] ?? 0) > 0) bySigns.push({ number, apart: differences(signs, theirs) });
    }
    bySigns.sort((a, b) => a.apart - b.apart || a.number - b.number);
    const exact: NearChunk[] = [];
    for (const { number } of bySigns.slice(0, Math.max(EXACT_MAX, limit))) {
      const key = vectorKey(this.#model, number);
      const stored = this.#parts.store.getSync(key);
      if (stored === undefined) continue;
      const vector = vectorOf(this.#parts.codec.open(key, stored));
      exact.push({ number, nearness: cosine(wanted, vector) });
    }
    return exact.sort((a, b) => b.nearness - a.nearness || a.number - b.number).slice(0, limit);
  }

  async #embed(corpus: EmbeddedCorpus, batch: readonly Text[], options: SyncOptions): Promise<void> {
    const { signal } = options;
    signal.throwIfAborted();
    const { store, codec, embedder } = this.#parts;
    const vectors = await embedder.embed(
      batch.map(({ text }) => text),
      { signal },
    );
    const made = batch.map(({ number }, i) => ({ number, vector: normal(this.#checked(vectors[i])) }));
    await corpus.quiet(async () => {
      // What was removed while the model read it leaves nothing behind.
      const live = made.filter(({ number }) => corpus.index.lengthOf(number) !== undefined);
      const operations = live.map(({ number, vector }): StoreOperation => {
        const key = vectorKey(this.#model, number);
        return { type: 'put', key, value: codec.seal(key, new Uint8Array(vector.slice().buffer)) };
      });
      await store.batch(operations, { sync: true });
      for (const { number, vector } of live) this.#remember(number, vector);
    });
    options.progress?.(this.#signs.size);
  }

  #checked(vector: Float32Array | undefined): Float32Array {
    const length = vector?.length ?? 0;
    const fits = length > 0 && length <= DIMENSIONS_MAX && [0, length].includes(this.#dimensions);
    if (vector !== undefined && fits && vector.every(Number.isFinite)) {
      this.#dimensions = length;
      return vector;
    }
    throw new SaharaError('backend-failed', {
      reason: `the embedding model gave a vector of ${length} numbers${this.#dimensions > 0 ? ` where others have ${this.#dimensions}` : ''}`,
    });
  }

  #remember(number: number, vector: Float32Array): void {
    this.#dimensions = vector.length;
    this.#signs.set(number, signsOf(vector));
  }
}

interface Text {
  readonly number: number;
  readonly text: string;
}

/** What deletes the vectors of removed chunks, of every model. */
export async function vectorRemovals(store: Store, chunks: readonly number[]): Promise<StoreOperation[]> {
  if (chunks.length === 0) return [];
  const models = await modelsIn(store);
  return models.flatMap((model) =>
    chunks.map((chunk): StoreOperation => ({ type: 'del', key: vectorKey(model, chunk) })),
  );
}

/** The models of which there are vectors: one look for each. */
async function modelsIn(store: Store): Promise<readonly Uint8Array[]> {
  const models: Uint8Array[] = [];
  const all = vectorsRange();
  for (let from = all.gte; from !== undefined; ) {
    let model: Uint8Array | undefined;
    for await (const [key] of store.entries({ ...all, gte: from, limit: 1 })) {
      model = key.slice(TAG_BYTES, TAG_BYTES + MODEL_BYTES);
    }
    if (model === undefined) break;
    models.push(model);
    from = prefixEnd(vectorRange(model).gte ?? model);
  }
  return models;
}

function vectorOf(stored: Uint8Array): Float32Array {
  return new Float32Array(stored.slice().buffer);
}

function normal(vector: Float32Array): Float32Array {
  let square = 0;
  for (const value of vector) square += value * value;
  const length = Math.sqrt(square);
  return length === 0 ? vector : vector.map((value) => value / length);
}

function cosine(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] ?? 0) * (b[i] ?? 0);
  return sum;
}

function signsOf(vector: Float32Array): Uint32Array {
  const signs = new Uint32Array(Math.ceil(vector.length / 32));
  for (let i = 0; i < vector.length; i++) {
    if ((vector[i] ?? 0) > 0) signs[i >> 5] = ((signs[i >> 5] ?? 0) | (1 << (i & 31))) >>> 0;
  }
  return signs;
}

function differences(a: Uint32Array, b: Uint32Array): number {
  let count = 0;
  for (let i = 0; i < a.length; i++) {
    let bits = ((a[i] ?? 0) ^ (b[i] ?? 0)) >>> 0;
    bits -= (bits >>> 1) & 0x5555_5555;
    bits = (bits & 0x3333_3333) + ((bits >>> 2) & 0x3333_3333);
    count += Math.imul((bits + (bits >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
  }
  return count;
}
