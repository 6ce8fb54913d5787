import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { merkleRoot } from '../../src/protocol/merkle.ts';
import { nativeSuite } from '../../src/protocol/suite-native.ts';
import { commitmentHash, LeafHashes, provenCount, provesChunk } from '../../src/vault/commitment.ts';
import { openVault, type Vault } from '../../src/vault/vault.ts';
import { addText, provenance } from './fixtures.ts';

async function filled(count: number): Promise<Vault> {
  const vault = await openVault({ store: createMemoryStore(), clock: systemClock });
  for (let i = 0; i < count; i++) {
    await addText(
      vault,
      `${i}.md`,
      `# Part ${i % 7}\n\nUnique${i} words about vouchers.\n\n# Same\n\nShared passage.`,
    );
  }
  return vault;
}

describe('commitment', () => {
  test('KNOW-8: the flat tree has the root and paths of the protocol', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 70 }), (leaves) => {
        const hashes = new LeafHashes();
        for (const leaf of leaves) hashes.push(leaf);
        const tree = hashes.finish();
        expect(tree.root).toEqual(merkleRoot(nativeSuite, leaves));
      }),
    );
  });

  test('KNOW-8: every chunk is proven, also one that stands in many documents; nothing else is', async () => {
    const vault = await filled(30);
    await vault.remove('4.md');
    const commitment = await vault.commitment();
    expect(commitment.chunks).toBe(58);
    const { hits } = await vault.search({ question: 'vouchers shared passage unique7', limit: 100 });
    expect(hits.length).toBeGreaterThan(20);
    for (const { chunk } of hits) {
      const path = await vault.chunkPath(chunk.id);
      expect(path !== undefined && provesChunk(commitment, chunk.id, path)).toBe(true);
      const other = chunk.id.slice();
      other[0] = (other[0] ?? 0) ^ 1;
      expect(path !== undefined && provesChunk(commitment, other, path)).toBe(false);
      expect(await vault.chunkPath(other)).toBeUndefined();
    }
  });

  test('KNOW-9: counts of terms are proven, and so is that a term occurs nowhere', async () => {
    const vault = await filled(30);
    await vault.remove('4.md');
    const commitment = await vault.commitment();
    for (const [term, count] of [
      ['voucher', 29],
      ['uniqu', 29],
      ['unique7', 1],
      ['passag', 29],
      ['part', 29],
    ] as const) {
      const proof = await vault.termProof(term);
      expect(proof, term).toMatchObject({ present: true, chunksWith: count });
      expect(provenCount(commitment, term, proof)).toBe(count);
      expect(provenCount(commitment, 'zebra', proof)).toBeUndefined();
      if (proof.present)
        expect(provenCount(commitment, term, { ...proof, chunksWith: count + 1 })).toBeUndefined();
    }
    for (const term of ['', '-', 'unique4', 'zebra', 'voucherx', '\u{1f600}']) {
      const proof = await vault.termProof(term);
      expect(provenCount(commitment, term, proof), term).toBe(0);
    }
    const absent = await vault.termProof('zebra');
    expect(provenCount(commitment, 'voucher', absent)).toBeUndefined();
    if (!absent.present)
      expect(provenCount(commitment, 'zebra', { ...absent, below: undefined })).toBeUndefined();
  });

  test('KNOW-8: an empty vault commits, proves nothing present and everything absent', async () => {
    const vault = await filled(0);
    const commitment = await vault.commitment();
    expect(commitment.chunkRoot).toEqual(merkleRoot(nativeSuite, []));
    expect(provenCount(commitment, 'any', await vault.termProof('any'))).toBe(0);
    expect(await vault.chunkPath(new Uint8Array(32))).toBeUndefined();
  });

  test('KNOW-8: the hash covers every field', async () => {
    const base = await (await filled(3)).commitment();
    const seen = new Set(
      [
        commitmentHash(base),
        commitmentHash({ ...base, lengthTotal: base.lengthTotal + 1 }),
        commitmentHash({ ...base, chunks: base.chunks + 1 }),
        commitmentHash({ ...base, analysis: base.analysis + 1 }),
        commitmentHash({ ...base, termRoot: base.chunkRoot }),
      ].map((hash) => Buffer.from(hash).toString('hex')),
    );
    expect(seen.size).toBe(5);
  });

  test('provenance changes the commitment', async () => {
    const one = await openVault({ store: createMemoryStore(), clock: systemClock });
    const two = await openVault({ store: createMemoryStore(), clock: systemClock });
    await addText(one, 'a.txt', 'Text.', provenance(1));
    await addText(two, 'a.txt', 'Text.', provenance(2));
    expect((await one.commitment()).chunkRoot).not.toEqual((await two.commitment()).chunkRoot);
    expect((await one.commitment()).termRoot).toEqual((await two.commitment()).termRoot);
  });
});
