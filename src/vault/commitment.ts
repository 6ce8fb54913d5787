/**
 * What a vault commits to: a Merkle tree (RFC 6962 hashing, as in `protocol/merkle.ts`) over the ids of its chunks
 * and one over its terms with the number of chunks that hold each. With both roots anyone can check that a quoted
 * passage is the vault's and recompute what it earned; neither tells anything of what was not quoted.
 */
import { compareBytes } from '../base/bytes.ts';
import { invariant } from '../base/errors.ts';
import { type MerklePath, merkleRootFrom } from '../protocol/merkle.ts';
import { bytes, record, type Schema, text, uint } from '../protocol/schema.ts';
import { nativeSuite } from '../protocol/suite-native.ts';
import { domainSha256, sha256 } from './hash.ts';
import { TERM_CHARACTERS_MAX } from './limits.ts';
import { compareTerms } from './search/dictionary.ts';

/** What is committed to. */
export interface Commitment {
  /** Scheme of ids and trees: 1 is SHA-256. */
  readonly scheme: number;
  /** Version of the rules that make index terms. */
  readonly analysis: number;
  readonly chunks: number;
  /** Index tokens of all chunks. */
  readonly lengthTotal: number;
  /** Root over the chunk ids in byte order; an id that stands in several documents comes as often. */
  readonly chunkRoot: Uint8Array;
  /** How many different terms there are. */
  readonly terms: number;
  /** Root over `[term, chunks that hold it]` in byte order of the terms. */
  readonly termRoot: Uint8Array;
}

/** The wire form of a commitment. */
export const commitmentRecord: Schema<Commitment> = record('vault-commitment', {
  scheme: uint(255),
  analysis: uint(255),
  chunks: uint(),
  lengthTotal: uint(),
  chunkRoot: bytes(32),
  terms: uint(),
  termRoot: bytes(32),
});

const termLeafRecord = record('term-leaf', { term: text(4 * TERM_CHARACTERS_MAX), chunksWith: uint() });

/** The one hash that a dataset asset registers for a vault. */
export function commitmentHash(commitment: Commitment): Uint8Array {
  return domainSha256('sahara/1/vault', commitmentRecord.encode(commitment));
}

/** The leaf of a term. */
export function termLeaf(term: string, chunksWith: number): Uint8Array {
  return termLeafRecord.encode({ term, chunksWith });
}

/** Whether `path` leads from a chunk id to the commitment. */
export function provesChunk(commitment: Commitment, id: Uint8Array, path: MerklePath): boolean {
  return leadsTo(commitment.chunkRoot, commitment.chunks, id, path);
}

/** Whether `path` leads from a term and its count to the commitment. */
function provesTerm(
  commitment: Commitment,
  term: { readonly term: string; readonly chunksWith: number },
  path: MerklePath,
): boolean {
  return leadsTo(commitment.termRoot, commitment.terms, termLeaf(term.term, term.chunksWith), path);
}

/** A leaf of the term tree and its path. */
export interface ProvenTerm {
  readonly term: string;
  readonly chunksWith: number;
  readonly path: MerklePath;
}

/** A term's count: by its leaf, or, for one that occurs nowhere, by its neighbours in byte order, side by side. */
export type TermProof =
  | ({ readonly present: true } & ProvenTerm)
  | {
      readonly present: false;
      readonly below: ProvenTerm | undefined;
      readonly above: ProvenTerm | undefined;
    };

/** In how many chunks `proof` shows that `term` stands under the commitment; `undefined` when it shows nothing. */
export function provenCount(commitment: Commitment, term: string, proof: TermProof): number | undefined {
  if (proof.present) {
    return proof.term === term && provesTerm(commitment, proof, proof.path) ? proof.chunksWith : undefined;
  }
  const { below, above } = proof;
  const first = below === undefined ? -1 : below.path.index;
  const next = above === undefined ? commitment.terms : above.path.index;
  const between =
    first + 1 === next &&
    (below === undefined ||
      (compareTerms(below.term, term) < 0 && provesTerm(commitment, below, below.path))) &&
    (above === undefined ||
      (compareTerms(above.term, term) > 0 && provesTerm(commitment, above, above.path)));
  return between ? 0 : undefined;
}

function leadsTo(root: Uint8Array, count: number, leaf: Uint8Array, path: MerklePath): boolean {
  const found = path.count === count ? merkleRootFrom(nativeSuite, leaf, path) : undefined;
  return found !== undefined && compareBytes(found, root) === 0;
}

const HASH_BYTES = 32;
const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/** A Merkle tree over many leaves, kept as flat hashes: 64 bytes for each leaf. */
export class FlatTree {
  readonly #levels: Uint8Array[];

  /** `leafHashes` is the concatenation of the leaves' hashes. */
  constructor(leafHashes: Uint8Array) {
    this.#levels = [leafHashes];
    for (let level = leafHashes; level.length > HASH_BYTES; ) {
      level = above(level);
      this.#levels.push(level);
    }
  }

  /** The hash of one leaf's content. */
  static leafHash(content: Uint8Array): Uint8Array {
    return sha256(LEAF, content);
  }

  get count(): number {
    return (this.#levels[0]?.length ?? 0) / HASH_BYTES;
  }

  get root(): Uint8Array {
    const top = this.#levels.at(-1);
    return top === undefined || top.length === 0 ? sha256() : top.slice();
  }

  /** The path of leaf `index`. */
  path(index: number): MerklePath {
    invariant(index >= 0 && index < this.count, 'leaf inside the tree');
    const siblings: Uint8Array[] = [];
    let at = index;
    for (const level of this.#levels.slice(0, -1)) {
      const start = HASH_BYTES * (at ^ 1);
      if (start < level.length) siblings.push(level.slice(start, start + HASH_BYTES));
      at >>= 1;
    }
    return { index, count: this.count, siblings };
  }
}

function above(level: Uint8Array): Uint8Array {
  const pair = 2 * HASH_BYTES;
  const next = new Uint8Array(HASH_BYTES * Math.ceil(level.length / pair));
  for (let at = 0, to = 0; at < level.length; at += pair, to += HASH_BYTES) {
    const both = level.subarray(at, Math.min(at + pair, level.length));
    next.set(both.length === pair ? sha256(NODE, both) : both, to);
  }
  return next;
}

/** Collects leaf hashes into one growing buffer. */
export class LeafHashes {
  #bytes = new Uint8Array(HASH_BYTES * 1024);
  #length = 0;

  push(content: Uint8Array): void {
    if (this.#length === this.#bytes.length) {
      const grown = new Uint8Array(2 * this.#bytes.length);
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    this.#bytes.set(FlatTree.leafHash(content), this.#length);
    this.#length += HASH_BYTES;
  }

  finish(): FlatTree {
    return new FlatTree(this.#bytes.slice(0, this.#length));
  }
}
