import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromHex, utf8 } from '../../src/base/bytes.ts';
import {
  type ChunkProof,
  ChunkProver,
  ChunkTree,
  chunkBytes,
  chunkCount,
  chunkProof,
  contentProof,
  FILE_SCHEME,
  type FolderFile,
  filePlace,
  folderCommitment,
  verifyChunks,
} from '../../src/protocol/content.ts';
import {
  CONTENT_CHUNK_BYTES,
  CONTENT_PROOF_BYTES_MAX,
  CONTENT_PROOF_CHUNKS_MAX,
} from '../../src/protocol/limits.ts';
import { merkleRoot } from '../../src/protocol/merkle.ts';
import type { Commitment } from '../../src/protocol/transaction.ts';
import { suite } from './sample.ts';
import { vectors } from './vector-files.ts';

/** Chunk `index` of a file of `sizeBytes`: its number in every byte. */
function chunkAt(sizeBytes: number, index: number): Uint8Array {
  return new Uint8Array(chunkBytes(sizeBytes, index)).fill(index);
}

function commitmentOf(sizeBytes: number): Commitment {
  const tree = new ChunkTree(suite);
  for (let i = 0; i < chunkCount(sizeBytes); i++) tree.push(chunkAt(sizeBytes, i));
  return { scheme: FILE_SCHEME, root: tree.root(), sizeBytes };
}

function proofOf(sizeBytes: number, first: number, count: number): ChunkProof {
  const prover = new ChunkProver(suite, sizeBytes, { first, count });
  for (let i = 0; i < chunkCount(sizeBytes); i++) prover.push(chunkAt(sizeBytes, i));
  return { file: undefined, ...prover.finish() };
}

const refused = (why: RegExp) => ({
  asymmetricMatch: (error: { code?: string; facts?: { reason?: string } }) =>
    error.code === 'content-invalid' && why.test(error.facts?.reason ?? ''),
});

describe('LEDGER-90: the commitment of a file', () => {
  test('is the Merkle root over its chunks, whatever their number, from one hash a level', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 8 }), { maxLength: 70 }), (leaves) => {
        const tree = new ChunkTree(suite);
        for (const leaf of leaves) tree.push(leaf);
        expect(tree.root()).toEqual(merkleRoot(suite, leaves));
      }),
    );
  });

  test('an empty file has no chunks and the hash of nothing', () => {
    expect(chunkCount(0)).toBe(0);
    expect(commitmentOf(0).root).toEqual(suite.sha256());
    expect(() => proofOf(0, 0, 1)).toThrow(refused(/beyond the end/));
  });
});

describe('LEDGER-91: proofs of chunks', () => {
  test('hold for every range of every file, and for no other size, place or content', () => {
    const shape = fc
      .record({ whole: fc.nat({ max: 6 }), rest: fc.integer({ min: 1, max: 9 }) })
      .chain(({ whole, rest }) =>
        fc.record({
          sizeBytes: fc.constant(whole * CONTENT_CHUNK_BYTES + rest),
          first: fc.integer({ min: 0, max: whole }),
          length: fc.integer({ min: 1, max: whole + 1 }),
        }),
      );
    fc.assert(
      fc.property(shape, ({ sizeBytes, first, length }) => {
        const count = Math.min(length, chunkCount(sizeBytes) - first);
        const commitment = commitmentOf(sizeBytes);
        const proof = proofOf(sizeBytes, first, count);
        const check = (bent: ChunkProof, trusted = commitment) =>
          verifyChunks(suite, trusted, chunkProof.encode(bent));
        const proven = check(proof);
        expect(proven.offset).toBe(first * CONTENT_CHUNK_BYTES);
        expect(proven.chunks.map((chunk) => [chunk.length, chunk[0]])).toEqual(
          proof.chunks.map((_, i) => [chunkBytes(sizeBytes, first + i), first + i]),
        );
        const damaged = proof.chunks.map((chunk) => chunk.slice());
        const [one = new Uint8Array(1)] = damaged;
        one[0] = (one[0] ?? 0) ^ 1;
        expect(() => check({ ...proof, chunks: damaged })).toThrow(refused(/not those/));
        const more = { ...proof, siblings: [...proof.siblings, suite.sha256()] };
        expect(() => check(more)).toThrow(refused(/more hashes/));
        if (proof.siblings.length > 0) {
          expect(() => check({ ...proof, siblings: proof.siblings.slice(1) })).toThrow(refused(/missing/));
          const other = proof.siblings.map((hash) => hash.map((byte) => byte ^ 1));
          expect(() => check({ ...proof, siblings: other })).toThrow(refused(/not those/));
        }
        expect(() => check({ ...proof, first: first + 1 })).toThrow(refused(/./));
        const larger = { ...commitment, sizeBytes: sizeBytes + CONTENT_CHUNK_BYTES };
        // The size is trusted as the root is: only what is proved up to the end shows another one.
        if (first + count === chunkCount(sizeBytes)) expect(() => check(proof, larger)).toThrow(refused(/./));
        expect(() => check({ ...proof, chunks: [] })).toThrow(refused(/beyond the end/));
      }),
      { numRuns: 25 },
    );
  });

  test('a chunk beyond the end and too many chunks are refused before anything is hashed', () => {
    const size = 20 * CONTENT_CHUNK_BYTES;
    expect(() => new ChunkProver(suite, size, { first: 20, count: 1 })).toThrow(
      refused(/chunk 20 is beyond the end: there are 20/),
    );
    expect(() => new ChunkProver(suite, size, { first: 0, count: CONTENT_PROOF_CHUNKS_MAX + 1 })).toThrow(
      refused(/too many/),
    );
  });

  test('the largest has a wire form', () => {
    const size = CONTENT_PROOF_CHUNKS_MAX * CONTENT_CHUNK_BYTES;
    const file = {
      about: { path: 'p'.repeat(1_024), sizeBytes: size, root: suite.sha256() },
      place: { index: 5, count: 2 ** 32 - 1, siblings: Array.from({ length: 32 }, () => suite.sha256()) },
    };
    const siblings = Array.from({ length: 128 }, () => suite.sha256());
    const body = chunkProof.encode({ ...proofOf(size, 0, CONTENT_PROOF_CHUNKS_MAX), file, siblings });
    expect(body.length < CONTENT_PROOF_BYTES_MAX).toBe(true);
    const proof = { version: 1, commitment: commitmentOf(1), body };
    expect(contentProof.decode(contentProof.encode(proof)).body.length).toBe(body.length);
  });
});

describe('LEDGER-92: folders', () => {
  const files: readonly FolderFile[] = ['b', 'a/z', 'a', 'ä'].map((path, i) => {
    const { root, sizeBytes } = commitmentOf(i + 1);
    return { path, root, sizeBytes };
  });

  test('have one commitment whatever the order of reading, and prove a file and its chunks together', () => {
    const commitment = folderCommitment(suite, files);
    expect(folderCommitment(suite, [...files].reverse())).toEqual(commitment);
    expect(commitment.sizeBytes).toBe(10);
    for (const [i, { path }] of files.entries()) {
      const body = chunkProof.encode({ ...proofOf(i + 1, 0, 1), file: filePlace(suite, files, path) });
      expect(verifyChunks(suite, commitment, body)).toMatchObject({ path, sizeBytes: i + 1 });
      const renamed = filePlace(suite, files, path);
      const bent = { ...renamed, about: { ...renamed.about, path: 'c' } };
      const wrong = chunkProof.encode({ ...proofOf(i + 1, 0, 1), file: bent });
      expect(() => verifyChunks(suite, commitment, wrong)).toThrow(refused(/no such c/));
    }
  });

  test('are not files, nor files folders', () => {
    const commitment = folderCommitment(suite, files);
    const bare = chunkProof.encode(proofOf(1, 0, 1));
    expect(() => verifyChunks(suite, commitment, bare)).toThrow(
      refused(/of a file, the commitment of a folder/),
    );
    const placed = chunkProof.encode({ ...proofOf(1, 0, 1), file: filePlace(suite, files, 'b') });
    expect(() => verifyChunks(suite, commitmentOf(1), placed)).toThrow(refused(/of a folder/));
    expect(() => filePlace(suite, files, 'nothing')).toThrow(refused(/holds no nothing/));
    expect(() => folderCommitment(suite, [...files, ...files])).toThrow(refused(/twice/));
    expect(() => verifyChunks(suite, commitment, utf8('x'))).toThrow(refused(/canonical/));
  });
});

test('LEDGER-90 LEDGER-91 LEDGER-92: the vectors', () => {
  const { valid, invalid } = vectors('content');
  const holds = ({ scheme, root, sizeBytes, body }: (typeof valid)[number]): boolean => {
    const trusted = { scheme: String(scheme), root: hex(root), sizeBytes: Number(sizeBytes) };
    try {
      verifyChunks(suite, trusted, hex(body));
      return true;
    } catch (error) {
      expect(error).toMatchObject({ code: 'content-invalid' });
      return false;
    }
  };
  expect(valid.map(holds)).toEqual(valid.map(() => true));
  expect(invalid.map(holds)).toEqual(invalid.map(() => false));
});

function hex(text: unknown): Uint8Array {
  return fromHex(String(text)) ?? expect.fail('hex');
}
