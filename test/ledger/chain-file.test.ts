import { expect, test } from 'vitest';
import { concat, u32be } from '../../src/base/bytes.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { exportChain, importChain, readChainFile } from '../../src/ledger/chain-file.ts';
import { verifyChain } from '../../src/ledger/verify.ts';
import { block } from '../../src/protocol/block.ts';
import { signOne } from '../../src/protocol/signing.ts';
import { alice, Bench, bob, suite, testGenesis } from './support.ts';

async function exported(bench: Bench): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of exportChain(bench.parts)) pieces.push(piece);
  return concat(...pieces);
}

/** Hands bytes over in pieces of a size. */
async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const take = async (bytes: Uint8Array, store = createMemoryStore(), size = 1_000) =>
  importChain({ suite, store }, await readChainFile(inPieces(bytes, size)));

async function someLedger(): Promise<Bench> {
  const bench = await Bench.create();
  for (let i = 0; i < 5; i++)
    await bench.run(alice, { type: 'transfer', to: bob.publicKey, amount: 3n, memo: undefined });
  return bench;
}

test('LEDGER-144: an imported ledger is the exported one, in one go or in two', async () => {
  const bench = await someLedger();
  const half = await exported(bench);
  await bench.run(bob, { type: 'transfer', to: alice.publicKey, amount: 1n, memo: undefined });
  const whole = await exported(bench);
  for (const size of [1, 7, 100_000]) {
    const store = createMemoryStore();
    expect(await take(whole, store, size)).toEqual(bench.chain.head());
    const copy = await Bench.create(testGenesis(), store);
    expect((await verifyChain(copy.parts)).faults).toEqual([]);
    expect(await exported(copy)).toEqual(whole);
  }
  const store = createMemoryStore();
  expect((await take(half, store)).height).toBe(5);
  expect(await take(whole, store)).toEqual(bench.chain.head());
  // An older file takes nothing back.
  expect(await take(half, store)).toEqual(bench.chain.head());
});

test('LEDGER-144: what is altered, cut short, out of order or of another network is refused', async () => {
  const bench = await someLedger();
  const whole = await exported(bench);
  const bent = whole.slice();
  bent[bent.length - 5] = (bent.at(-5) ?? 0) ^ 1;
  await expect(take(bent)).rejects.toMatchObject({ code: 'block-invalid', facts: { height: 5 } });
  await expect(take(whole.subarray(0, whole.length - 1))).rejects.toMatchObject({ code: 'malformed' });
  await expect(take(whole.subarray(3))).rejects.toMatchObject({ code: 'malformed' });
  await expect(take(new Uint8Array(0))).rejects.toMatchObject({ code: 'malformed' });
  await expect(take(concat(whole, u32be(0xffff_ffff)))).rejects.toMatchObject({ code: 'malformed' });
  const file = await readChainFile(inPieces(whole, 50));
  const blocks: Uint8Array[] = [];
  for await (const wire of file.blocks) blocks.push(wire);
  const rest = async function* (from: readonly Uint8Array[]) {
    yield* from;
  };
  const [first = new Uint8Array(0), ...later] = blocks;
  const gap = importChain({ suite, store: createMemoryStore() }, { ...file, blocks: rest(later) });
  await expect(gap).rejects.toMatchObject({ code: 'block-invalid', facts: { height: 2 } });
  const honest = block.decode(first);
  const header = signOne(suite, bob, bench.network, {
    type: 'block-header',
    payload: honest.header.payload,
  });
  const forged = block.encode({ ...honest, header });
  const theirs = importChain({ suite, store: createMemoryStore() }, { ...file, blocks: rest([forged]) });
  await expect(theirs).rejects.toMatchObject({ code: 'block-invalid' });
  const other = createMemoryStore();
  await Bench.create(testGenesis({ name: 'other' }), other);
  await expect(take(whole, other)).rejects.toMatchObject({ code: 'network-mismatch' });
});
