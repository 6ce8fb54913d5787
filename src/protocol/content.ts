/**
 * What an asset consists of, committed to so that any part of it can be proved without the rest. A file is cut into
 * chunks of 1 MiB under a Merkle tree as in `merkle.ts`; a folder is a tree over its files' commitments. A proof
 * carries the proved chunks themselves and the hashes beside them, and names its scheme, so that another scheme can
 * be added as another body.
 *
 * Everything here is a fold: a committer keeps one hash per level of the tree, however large the file.
 */
import { compareBytes, equalBytes, utf8 } from '../base/bytes.ts';
import { invariant, SaharaError } from '../base/errors.ts';
import type { Hash } from './ids.ts';
import { CONTENT_CHUNK_BYTES, CONTENT_PROOF_BYTES_MAX, CONTENT_PROOF_CHUNKS_MAX } from './limits.ts';
import { type MerklePath, merklePath, merklePathOf, merkleRoot, merkleRootFrom } from './merkle.ts';
import { bytes, bytesUpTo, list, optional, record, type Schema, text, uint } from './schema.ts';
import type { Suite } from './suite.ts';
import { type Commitment, commitment } from './transaction.ts';

/** The scheme of one file. */
export const FILE_SCHEME = 'sha256-merkle-1mib';
/** The scheme of a folder of files. */
export const FOLDER_SCHEME = 'sahara-folder-1';

/** A proof that some content is part of what a commitment commits to. */
export interface ContentProof {
  /** 1. */
  readonly version: number;
  readonly commitment: Commitment;
  /** In the form of the commitment's scheme: for files and folders a `chunk-proof`. */
  readonly body: Uint8Array;
}

/** The wire form of a proof. */
export const contentProof: Schema<ContentProof> = record('content-proof', {
  version: uint(255),
  commitment,
  body: bytesUpTo(CONTENT_PROOF_BYTES_MAX),
});

/** One file of a folder, as the folder's tree has it. */
export interface FolderFile {
  /** Relative, with `/`; not empty. */
  readonly path: string;
  readonly sizeBytes: number;
  /** Its own commitment's root. */
  readonly root: Hash;
}

const folderFile = record('folder-file', { path: text(1024), sizeBytes: uint(), root: bytes(32) });

/** Neighbouring chunks of one file with what leads from them to the commitment. */
export interface ChunkProof {
  /** Of a folder: which file, and where it stands among the folder's. */
  readonly file: { readonly about: FolderFile; readonly place: MerklePath } | undefined;
  /** Number of the first chunk, from 0. */
  readonly first: number;
  readonly chunks: readonly Uint8Array[];
  /** Roots of the largest subtrees that hold none of the chunks, from left to right. */
  readonly siblings: readonly Hash[];
}

/** The wire form of a chunk proof. */
export const chunkProof: Schema<ChunkProof> = record('chunk-proof', {
  file: optional(record('file-place', { about: folderFile, place: merklePath })),
  first: uint(),
  chunks: list(bytesUpTo(CONTENT_CHUNK_BYTES), CONTENT_PROOF_CHUNKS_MAX),
  siblings: list(bytes(32), 128),
});

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/** How many chunks a file of `sizeBytes` has. */
export function chunkCount(sizeBytes: number): number {
  return Math.ceil(sizeBytes / CONTENT_CHUNK_BYTES);
}

/** How long chunk `index` of a file of `sizeBytes` is. */
export function chunkBytes(sizeBytes: number, index: number): number {
  return Math.min(CONTENT_CHUNK_BYTES, sizeBytes - index * CONTENT_CHUNK_BYTES);
}

/** Chunks from `first`, as many as `count`. */
export interface ChunkRange {
  readonly first: number;
  readonly count: number;
}

/** Folds chunks into the root over them: one hash per level is kept. */
export class ChunkTree {
  readonly #suite: Suite;
  /** Roots of full subtrees, from left to right, each with fewer leaves than the one before. */
  readonly #full: { readonly leaves: number; readonly root: Hash }[] = [];

  constructor(suite: Suite) {
    this.#suite = suite;
  }

  push(chunk: Uint8Array): void {
    let leaves = 1;
    let root = this.#suite.sha256(LEAF, chunk);
    for (let last = this.#full.at(-1); last?.leaves === leaves; last = this.#full.at(-1)) {
      root = this.#suite.sha256(NODE, last.root, root);
      leaves *= 2;
      this.#full.pop();
    }
    this.#full.push({ leaves, root });
  }

  root(): Hash {
    const [last, ...rest] = this.#full.map(({ root }) => root).reverse();
    if (last === undefined) return this.#suite.sha256();
    return rest.reduce((right, left) => this.#suite.sha256(NODE, left, right), last);
  }
}

interface Subtree {
  readonly first: number;
  readonly leaves: number;
}

/** The largest subtrees of a tree of `count` chunks without any of `range`, from left to right. */
function besides(count: number, range: ChunkRange): readonly Subtree[] {
  const found: Subtree[] = [];
  const visit = (first: number, leaves: number): void => {
    if (isOutside({ first, leaves }, range)) found.push({ first, leaves });
    else if (leaves > 1) {
      const left = leftOf(leaves);
      visit(first, left);
      visit(first + left, leaves - left);
    }
  };
  visit(0, count);
  return found;
}

function isOutside({ first, leaves }: Subtree, range: ChunkRange): boolean {
  return first + leaves <= range.first || first >= range.first + range.count;
}

/** Leaves of the left half: the largest power of two below `leaves` (RFC 6962, section 2.1). */
function leftOf(leaves: number): number {
  let left = 1;
  while (left * 2 < leaves) left *= 2;
  return left;
}

/**
 * Collects the proof of `range` from all chunks of a file, pushed in order. Keeps the chunks of the range and one hash
 * per level. Throws `content-invalid` for a range that is not the file's.
 */
export class ChunkProver {
  readonly #suite: Suite;
  readonly #range: ChunkRange;
  readonly #segments: readonly Subtree[];
  readonly #chunks: Uint8Array[] = [];
  readonly #siblings: Hash[] = [];
  #tree: ChunkTree;
  #next = 0;

  constructor(suite: Suite, sizeBytes: number, range: ChunkRange) {
    checkRange(sizeBytes, range);
    this.#suite = suite;
    this.#range = range;
    this.#segments = besides(chunkCount(sizeBytes), range);
    this.#tree = new ChunkTree(suite);
  }

  push(chunk: Uint8Array): void {
    const at = this.#next++;
    const { first, count } = this.#range;
    if (at >= first && at < first + count) {
      this.#chunks.push(chunk.slice());
      return;
    }
    this.#tree.push(chunk);
    const segment = this.#segments[this.#siblings.length];
    invariant(segment !== undefined, 'a chunk outside the range is in a segment');
    if (this.#next < segment.first + segment.leaves) return;
    this.#siblings.push(this.#tree.root());
    this.#tree = new ChunkTree(this.#suite);
  }

  finish(): Omit<ChunkProof, 'file'> {
    return { first: this.#range.first, chunks: this.#chunks, siblings: this.#siblings };
  }
}

function checkRange(sizeBytes: number, { first, count }: ChunkRange): void {
  const chunks = chunkCount(sizeBytes);
  if (count < 1 || first + count > chunks) {
    throw broken(
      `chunk ${first + Math.max(count, 1) - 1} is beyond the end: there are ${chunks}, counted from 0`,
    );
  }
  if (count > CONTENT_PROOF_CHUNKS_MAX) {
    throw broken(`${count} chunks are too many for one proof, which holds ${CONTENT_PROOF_CHUNKS_MAX}`);
  }
}

/** The root of a file that `proof` leads to. Throws `content-invalid` for one that cannot be a proof. */
export function chunksRoot(suite: Suite, sizeBytes: number, proof: Omit<ChunkProof, 'file'>): Hash {
  const range = { first: proof.first, count: proof.chunks.length };
  checkRange(sizeBytes, range);
  for (const [i, chunk] of proof.chunks.entries()) {
    const expected = chunkBytes(sizeBytes, proof.first + i);
    if (chunk.length !== expected) {
      throw broken(`chunk ${proof.first + i} has ${chunk.length} bytes instead of ${expected}`);
    }
  }
  let used = 0;
  const visit = (at: Subtree): Hash => {
    if (isOutside(at, range)) {
      const sibling = proof.siblings[used++];
      if (sibling === undefined) throw broken('hashes are missing from the proof');
      return sibling;
    }
    const { first, leaves } = at;
    if (leaves === 1) return suite.sha256(LEAF, proof.chunks[first - range.first] ?? new Uint8Array(0));
    const left = leftOf(leaves);
    const before = visit({ first, leaves: left });
    return suite.sha256(NODE, before, visit({ first: first + left, leaves: leaves - left }));
  };
  const root = visit({ first: 0, leaves: chunkCount(sizeBytes) });
  if (used !== proof.siblings.length) throw broken('the proof has more hashes than belong to it');
  return root;
}

/** What a proof showed. */
export interface ProvenContent {
  /** The file inside a folder; absent for a file on its own. */
  readonly path: string | undefined;
  /** Where the chunks begin in the file, bytes. */
  readonly offset: number;
  readonly chunks: readonly Uint8Array[];
  /** Size of the whole file, bytes. */
  readonly sizeBytes: number;
}

/**
 * Checks a proof of chunks against a commitment of scheme `sha256-merkle-1mib` or `sahara-folder-1` that is trusted.
 * Throws `content-invalid` with the reason.
 */
export function verifyChunks(suite: Suite, trusted: Commitment, body: Uint8Array): ProvenContent {
  const proof = readBody(chunkProof, body);
  const offset = proof.first * CONTENT_CHUNK_BYTES;
  if (trusted.scheme === FILE_SCHEME) {
    if (proof.file !== undefined) throw broken('it is of a folder, the commitment of a file');
    if (!equalBytes(chunksRoot(suite, trusted.sizeBytes, proof), trusted.root)) throw changed();
    return { path: undefined, offset, chunks: proof.chunks, sizeBytes: trusted.sizeBytes };
  }
  if (trusted.scheme !== FOLDER_SCHEME) throw broken(`its scheme ${trusted.scheme} is not one of files`);
  if (proof.file === undefined) throw broken('it is of a file, the commitment of a folder');
  const { about, place } = proof.file;
  const folder = merkleRootFrom(suite, folderFile.encode(about), place);
  if (folder === undefined || !equalBytes(folder, trusted.root)) {
    throw broken(`the folder holds no such ${about.path}`);
  }
  if (!equalBytes(chunksRoot(suite, about.sizeBytes, proof), about.root)) throw changed();
  return { path: about.path, offset, chunks: proof.chunks, sizeBytes: about.sizeBytes };
}

/** Decodes a proof's body. Throws `content-invalid` instead of `malformed`. */
export function readBody<T>(schema: Schema<T>, body: Uint8Array): T {
  try {
    return schema.decode(body);
  } catch (error) {
    if (!(error instanceof SaharaError) || error.code !== 'malformed') throw error;
    throw broken('it is not in its canonical form');
  }
}

/** The commitment of a folder of these files, whatever their order. Throws `content-invalid` for two of one path. */
export function folderCommitment(suite: Suite, files: readonly FolderFile[]): Commitment {
  const sorted = sortedFiles(files);
  const leaves = sorted.map((file) => folderFile.encode(file));
  const sizeBytes = sorted.reduce((sum, file) => sum + file.sizeBytes, 0);
  return { scheme: FOLDER_SCHEME, root: merkleRoot(suite, leaves), sizeBytes };
}

/** Where the file `path` stands among those of a folder. Throws `content-invalid` when there is none. */
export function filePlace(
  suite: Suite,
  files: readonly FolderFile[],
  path: string,
): NonNullable<ChunkProof['file']> {
  const sorted = sortedFiles(files);
  const index = sorted.findIndex((file) => file.path === path);
  const about = sorted[index];
  if (about === undefined) throw broken(`the folder holds no ${path}`);
  const leaves = sorted.map((file) => folderFile.encode(file));
  return { about, place: merklePathOf(suite, leaves, index) };
}

function sortedFiles(files: readonly FolderFile[]): readonly FolderFile[] {
  const sorted = [...files].sort((a, b) => compareBytes(utf8(a.path), utf8(b.path)));
  const twice = sorted.find((file, i) => i > 0 && sorted[i - 1]?.path === file.path);
  if (twice !== undefined) throw broken(`the folder names ${twice.path} twice`);
  return sorted;
}

/** The complaint about a proof. */
export function broken(reason: string): SaharaError {
  return new SaharaError('content-invalid', { reason });
}

function changed(): SaharaError {
  return broken('the chunks are not those that were committed to');
}
