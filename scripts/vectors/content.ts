import { toHex, utf8 } from '../../src/base/bytes.ts';
import {
  type ChunkProof,
  ChunkProver,
  ChunkTree,
  chunkBytes,
  chunkCount,
  chunkProof,
  FILE_SCHEME,
  type FolderFile,
  filePlace,
  folderCommitment,
} from '../../src/protocol/content.ts';
import { CONTENT_CHUNK_BYTES } from '../../src/protocol/limits.ts';
import type { Commitment } from '../../src/protocol/transaction.ts';
import { filled, suite } from '../../test/protocol/sample.ts';
import type { Vectors } from './file.ts';

interface ContentCase {
  readonly name: string;
  readonly scheme: string;
  readonly root: string;
  readonly sizeBytes: number;
  /** A chunk proof in its wire form. */
  readonly body: string;
}

const chunkAt = (sizeBytes: number, index: number): Uint8Array =>
  new Uint8Array(chunkBytes(sizeBytes, index)).fill(index);

function fileOf(sizeBytes: number): Commitment {
  const tree = new ChunkTree(suite);
  for (let i = 0; i < chunkCount(sizeBytes); i++) tree.push(chunkAt(sizeBytes, i));
  return { scheme: FILE_SCHEME, root: tree.root(), sizeBytes };
}

/** The proof of the last chunk, which keeps the vectors small. */
function lastOf(sizeBytes: number): ChunkProof {
  const count = chunkCount(sizeBytes);
  const prover = new ChunkProver(suite, sizeBytes, { first: count - 1, count: 1 });
  for (let i = 0; i < count; i++) prover.push(chunkAt(sizeBytes, i));
  return { file: undefined, ...prover.finish() };
}

/** Proofs of chunks of files and folders. Chunk `i` of a file holds the byte `i`. */
export function contentVectors(): Vectors<ContentCase, ContentCase> {
  const entry = (name: string, commitment: Commitment, proof: ChunkProof): ContentCase => ({
    name,
    ...commitment,
    root: toHex(commitment.root),
    body: toHex(chunkProof.encode(proof)),
  });
  const sizes = [1, 2, 3, 4, 5, 7, 8].map((chunks) => (chunks - 1) * CONTENT_CHUNK_BYTES + 5);
  const files: readonly FolderFile[] = ['b.txt', 'a/ä.txt', 'a.txt'].map((path, i) => {
    const { root, sizeBytes } = fileOf(i + 1);
    return { path, root, sizeBytes };
  });
  const folder = folderCommitment(suite, files);
  const inFolder = (path: string, sizeBytes: number): ChunkProof => ({
    ...lastOf(sizeBytes),
    file: filePlace(suite, files, path),
  });
  const size = 4 * CONTENT_CHUNK_BYTES + 5;
  const file = fileOf(size);
  const proof = lastOf(size);
  const bad = (name: string, change: Partial<ChunkProof>, commitment = file): ContentCase =>
    entry(name, commitment, { ...proof, ...change });
  const place = filePlace(suite, files, 'b.txt');
  return {
    about:
      'Proofs of chunks (LEDGER-90 to LEDGER-92): `body` holds against the commitment, or must not. Chunk i of a file is filled with the byte i.',
    valid: [
      ...sizes.map((bytes) => entry(`the last of ${chunkCount(bytes)} chunks`, fileOf(bytes), lastOf(bytes))),
      ...files.map(({ path, sizeBytes }) => entry(`${path} of a folder`, folder, inFolder(path, sizeBytes))),
    ],
    invalid: [
      bad('a damaged chunk', { chunks: [utf8('wrong')] }),
      bad('a chunk that is too long', { chunks: [new Uint8Array(6).fill(4)] }),
      bad('no chunk', { chunks: [] }),
      bad('another place', { first: 3 }),
      bad('a place beyond the end', { first: 5 }),
      bad('a hash too few', { siblings: [] }),
      bad('a hash too many', { siblings: [...proof.siblings, filled(1)] }),
      bad('another hash', { siblings: [filled(1)] }),
      bad('another root', {}, { ...file, root: filled(2) }),
      bad('fewer chunks', {}, { ...file, sizeBytes: size - CONTENT_CHUNK_BYTES }),
      bad('more chunks', {}, { ...file, sizeBytes: size + CONTENT_CHUNK_BYTES }),
      bad('a file of a folder for a file', { file: place }),
      entry('a file for a folder', folder, lastOf(1)),
      entry('a file under another name', folder, {
        ...inFolder('b.txt', 1),
        file: { ...place, about: { ...place.about, path: 'c.txt' } },
      }),
      entry('another file of the folder', folder, { ...inFolder('a.txt', 3), file: place }),
      bad('another scheme', {}, { ...file, scheme: 'sahara-chunks-1' }),
    ],
  };
}
