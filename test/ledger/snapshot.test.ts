import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { toHex } from '../../src/base/bytes.ts';
import { openLevelStore } from '../../src/base/level-store.ts';
import { createMemoryStore, type Store } from '../../src/base/store.ts';
import { replayBlock } from '../../src/ledger/blocks.ts';
import { openChain } from '../../src/ledger/chain.ts';
import { ACCOUNTS } from '../../src/ledger/records.ts';
import { createSnapshot } from '../../src/ledger/snapshot.ts';
import { snapshotChunk, snapshotManifest } from '../../src/ledger/snapshot-form.ts';
import { restoreSnapshot } from '../../src/ledger/snapshot-restore.ts';
import { createStateTree } from '../../src/ledger/tree.ts';
import { verifyChain } from '../../src/ledger/verify.ts';
import { block, blockHeader, type Genesis } from '../../src/protocol/block.ts';
import { signOne } from '../../src/protocol/signing.ts';
import { type Action, assetId, channelId } from '../../src/protocol/transaction.ts';
import { alice, Bench, bob, carol, claimOf, person, sequencer, suite, testGenesis } from './support.ts';

interface Taken {
  readonly manifest: Uint8Array;
  readonly chunks: readonly Uint8Array[];
}

async function take(bench: Bench, chunkBytesMax = 400): Promise<Taken> {
  const chunks: Uint8Array[] = [];
  const manifest = await createSnapshot(
    bench.parts,
    async (index, chunk) => {
      chunks[index] = chunk;
    },
    { chunkBytesMax },
  );
  return { manifest: snapshotManifest.encode(manifest), chunks };
}

const restore = (taken: Taken, store: Store, genesis: Genesis = testGenesis()) =>
  restoreSnapshot(
    { suite, store, genesis },
    { manifest: taken.manifest, chunk: async (index) => taken.chunks[index] },
  );

async function contents(store: Store): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const [key, value] of store.entries()) found.push(`${toHex(key)}=${toHex(value)}`);
  return found;
}

async function stateOf(bench: Bench): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const [key, value] of bench.chain.stateEntries()) found.push(`${toHex(key)}=${toHex(value)}`);
  return found;
}

const people = [alice, bob, carol] as const;
const who = fc.constantFrom(...people);
const step = fc.record({
  by: who,
  to: who,
  kind: fc.constantFrom('transfer', 'open', 'claim', 'close', 'asset', 'end'),
  amount: fc.bigInt({ min: 1n, max: 3_000_000n }),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** A ledger of random transfers, channels, claims and assets; refused ones count too. */
async function tell(bench: Bench, steps: readonly Step[]): Promise<void> {
  let channel: Uint8Array = new Uint8Array(32);
  let [payer, payee] = [alice, bob] as [typeof alice, typeof alice];
  const assets: Uint8Array[] = [];
  const shares = { relation: 'merged-from' as const, ppm: 100_000 };
  for (const { by, to, kind, amount } of steps) {
    const id = channelId(suite, bench.network, by.publicKey, to.publicKey, bench.nonce(by));
    const asset = assetId(suite, bench.network, by.publicKey, bench.nonce(by));
    const actions: Readonly<Record<Step['kind'], () => Action>> = {
      transfer: () => ({ type: 'transfer', to: to.publicKey, amount, memo: undefined }),
      open: () => ({ type: 'open-channel', payee: to.publicKey, deposit: amount }),
      close: () => ({ type: 'request-close', channel }),
      end: () => ({ type: 'close-by-payee', channel, claim: undefined }),
      claim: () => ({
        type: 'claim',
        ...claimOf(bench.network, {
          channel,
          payer,
          payee,
          ceiling: amount,
          amounts: [{ asset: assets.at(-1) ?? new Uint8Array(32), amount }],
        }),
      }),
      asset: () => ({
        type: 'register-asset',
        kind: 'merge',
        name: 'made up',
        owners: [{ owner: to.publicKey, ppm: 1_000_000 }],
        parents: assets.slice(-1).map((parent) => ({ asset: parent, ...shares })),
        commitment: { scheme: 'none', root: new Uint8Array(32), sizeBytes: 0 },
        licence: '',
        terms: undefined,
        replaces: undefined,
        bounty: 0,
      }),
    };
    const { name } = await bench.run(by, actions[kind]());
    if (name === 'ok' && kind === 'asset') assets.push(asset);
    if (name === 'ok' && kind === 'open') [channel, payer, payee] = [id, by, to];
  }
}

test('LEDGER-140 LEDGER-142: a restored snapshot is what replaying the blocks gives, and follows the network', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 25 }),
      fc.array(step, { minLength: 1, maxLength: 6 }),
      fc.integer({ min: 1, max: 900 }),
      async (before, after, chunkBytesMax) => {
        const first = await Bench.create();
        await tell(first, before);
        const taken = await take(first, chunkBytesMax);
        const store = createMemoryStore();
        const head = await restore(taken, store);
        const second = await Bench.create(testGenesis(), store);
        expect(head).toEqual(first.chain.head());
        expect(second.chain.head()).toEqual(head);
        expect(await stateOf(second)).toEqual(await stateOf(first));
        for (const { publicKey } of people) {
          const ids = (bench: Bench) => ({
            channels: bench.queries
              .channelsOf(publicKey)
              .map(({ id }) => toHex(id))
              .sort(),
            assets: bench.queries
              .assetsOf(publicKey)
              .map(({ id }) => toHex(id))
              .sort(),
          });
          expect(ids(second)).toEqual(ids(first));
        }
        // The same snapshot again, byte for byte.
        expect(await take(second, chunkBytesMax)).toEqual(taken);
        await tell(first, after);
        for (let height = head.height + 1; height <= first.chain.head().height; height++) {
          const wire = (await first.chain.block(height)) ?? new Uint8Array(0);
          await second.chain.commit(await replayBlock(second.parts, wire, block.decode(wire)));
        }
        expect(second.chain.head()).toEqual(first.chain.head());
        // It opens again, with the blocks that it has.
        const again = await openChain({ suite, store }, testGenesis());
        expect(again.head()).toEqual(first.chain.head());
        expect(again.base).toBe(head.height);
      },
    ),
    { numRuns: 25 },
  );
});

async function smallLedger(): Promise<Bench> {
  const bench = await Bench.create();
  for (let i = 0; i < 24; i++) {
    const to = person(`holder ${i}`).publicKey;
    await bench.run(alice, { type: 'transfer', to, amount: 5n, memo: undefined });
  }
  return bench;
}

test('LEDGER-140: a snapshot is of one moment, whatever is written meanwhile', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sahara-snapshot-'));
  const store = await openLevelStore(folder);
  const bench = await Bench.create(testGenesis(), store);
  for (let i = 0; i < 24; i++) {
    const to = person(`holder ${i}`).publicKey;
    await bench.run(alice, { type: 'transfer', to, amount: 5n, memo: undefined });
  }
  const { head } = bench.chain;
  const before = head();
  const chunks: Uint8Array[] = [];
  const manifest = await createSnapshot(
    bench.parts,
    async (_, chunk) => {
      chunks.push(chunk);
      const to = person(`late ${chunks.length}`).publicKey;
      await bench.run(bob, { type: 'transfer', to, amount: 7n, memo: undefined });
    },
    { chunkBytesMax: 300 },
  );
  expect(chunks.length).toBeGreaterThan(3);
  expect(head().height).toBe(before.height + chunks.length);
  const restored = await restore(
    { manifest: snapshotManifest.encode(manifest), chunks },
    createMemoryStore(),
  );
  expect(restored).toEqual(before);
  await store.close();
  await rm(folder, { recursive: true, force: true });
});

test('LEDGER-141: what is damaged, reordered, missing, foreign or not the header’s is refused, and nothing of it stays', async () => {
  const bench = await smallLedger();
  const taken = await take(bench, 300);
  expect(taken.chunks.length).toBeGreaterThan(3);
  const said = snapshotManifest.decode(taken.manifest);
  const [first = new Uint8Array(0), second = new Uint8Array(0), ...rest] = taken.chunks;
  const bent = first.slice();
  bent[bent.length - 1] = (bent.at(-1) ?? 0) ^ 1;
  const describe = (chunk: Uint8Array) => ({
    hash: suite.sha256(chunk),
    sizeBytes: chunk.length,
    records: snapshotChunk.decode(chunk).length,
  });
  const remade = (chunks: readonly Uint8Array[], header = said.header): Taken => ({
    manifest: snapshotManifest.encode({ ...said, header, chunks: chunks.map(describe) }),
    chunks,
  });
  const header = blockHeader.decode(said.header.payload);
  const signedBy = (signer: typeof alice, change: Partial<typeof header>) =>
    signOne(suite, signer, bench.network, {
      type: 'block-header',
      payload: blockHeader.encode({ ...header, ...change }),
    });
  // A sequencer that makes money signs a state whose tree is right and whose sum is not.
  const [poor] = snapshotChunk.decode(first);
  const account = ACCOUNTS.schema.decode(poor?.value ?? new Uint8Array(0));
  const rich = ACCOUNTS.schema.encode({ ...account, balance: account.balance + 1n });
  const [, ...others] = taken.chunks.flatMap((chunk) => snapshotChunk.decode(chunk));
  const entries = [{ key: poor?.key ?? new Uint8Array(0), value: rich }, ...others];
  const richRoot = createStateTree(suite, () => undefined).update(entries).root;
  const strange = snapshotChunk.encode([{ key: Uint8Array.of(0xee, 1), value: Uint8Array.of(0) }]);
  const cases: readonly (readonly [Taken, string])[] = [
    [{ ...taken, chunks: [bent, second, ...rest] }, 'Chunk 0 is damaged or foreign'],
    [{ ...taken, chunks: [second, first, ...rest] }, 'Chunk 1 stands in the place of chunk 0'],
    [{ ...taken, chunks: [first, second] }, `Chunk 2 of ${taken.chunks.length} is missing`],
    [{ ...taken, manifest: taken.manifest.subarray(1) }, 'manifest cannot be read'],
    [remade([second, first, ...rest]), 'records of chunk 1 are not in order'],
    [remade([first, ...rest]), 'give the state root'],
    [remade([first, second, ...rest, strange]), 'none that the ledger knows'],
    [remade(taken.chunks, signedBy(sequencer, { stateRoot: new Uint8Array(32) })), 'give the state root'],
    [remade([snapshotChunk.encode(entries)], signedBy(sequencer, { stateRoot: richRoot })), 'Its money is'],
    [remade(taken.chunks, signedBy(bob, {})), 'sequencer did not sign'],
    [remade(taken.chunks, signedBy(sequencer, { network: 'other-0' })), 'none of this network'],
    [
      {
        ...taken,
        manifest: snapshotManifest.encode({
          ...said,
          chunks: said.chunks.map((one, i) => (i === 1 ? { ...one, records: one.records + 1 } : one)),
        }),
      },
      'Chunk 1 does not hold what the manifest counts',
    ],
    [{ ...taken, manifest: snapshotManifest.encode({ ...said, version: 2 }) }, 'version 2 is not known'],
  ];
  for (const [wrong, reason] of cases) {
    const store = createMemoryStore();
    await expect(restore(wrong, store), reason).rejects.toMatchObject({
      code: 'snapshot-invalid',
      facts: { reason: expect.stringContaining(reason) },
    });
    expect(await contents(store)).toEqual([]);
  }
  const other = testGenesis({ name: 'other' });
  await expect(restore(taken, createMemoryStore(), other)).rejects.toMatchObject({
    code: 'network-mismatch',
  });
  const used = createMemoryStore();
  await Bench.create(testGenesis(), used);
  const stood = await contents(used);
  await expect(restore(taken, used)).rejects.toMatchObject({ code: 'snapshot-invalid' });
  expect(await contents(used)).toEqual(stood);
});

test('LEDGER-140: before the first block there is nothing to take, and a stop ends a restore with an empty store', async () => {
  await expect(take(await Bench.create())).rejects.toMatchObject({ code: 'snapshot-invalid' });
  const taken = await take(await smallLedger());
  const store = createMemoryStore();
  const stopping = new AbortController();
  const source = {
    manifest: taken.manifest,
    async chunk(index: number) {
      if (index === 1) stopping.abort();
      return taken.chunks[index];
    },
  };
  const restoring = restoreSnapshot({ suite, store, genesis: testGenesis() }, source, {
    signal: stopping.signal,
  });
  await expect(restoring).rejects.toMatchObject({ code: 'cancelled' });
  expect(await contents(store)).toEqual([]);
});

test('LEDGER-143, LEDGER-153: a restored ledger replays itself from its snapshot and names what it cannot check', async () => {
  const store = createMemoryStore();
  await restore(await take(await smallLedger()), store);
  const bench = await Bench.create(testGenesis(), store);
  const fresh = await verifyChain(bench.parts);
  expect(fresh).toMatchObject({ base: 24, height: 24, transactions: 0, faults: [] });
  expect(fresh.unchecked).toHaveLength(1);
  expect(fresh.unchecked[0]).toContain('blocks 1 to 24 are not here');
  for (let i = 0; i < 3; i++) {
    const action = {
      type: 'transfer',
      to: person(`new ${i}`).publicKey,
      amount: 5n,
      memo: undefined,
    } as const;
    expect((await bench.run(alice, action)).name).toBe('ok');
  }
  const { supply, ...report } = await verifyChain(bench.parts);
  expect(report).toMatchObject({ base: 24, height: 27, transactions: 3, faults: [] });
  expect(supply).toBe(await bench.supply());
  expect(await bench.chain.header(24)).toBeDefined();
  expect(await bench.chain.header(23)).toBeUndefined();
});

test('LEDGER-142: killed at any write of a restore, nothing half-used is left, and a second restore succeeds', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sahara-restore-'));
  const bench = await smallLedger();
  const taken = await take(bench, 700);
  await writeFile(join(folder, 'manifest'), taken.manifest);
  for (const [i, chunk] of taken.chunks.entries()) await writeFile(join(folder, `${i}`), chunk);
  const child = fileURLToPath(new URL('./snapshot-child.ts', import.meta.url));
  const last = taken.chunks.length + 2;
  const deaths = [
    ['after', 1],
    ['during', 2],
    ['before', last],
    ['during', last],
    ['after', last],
  ] as const;
  for (const [moment, batches] of deaths) {
    const place = join(folder, `store-${moment}-${batches}`);
    const running = spawn(process.execPath, [child, folder, place, moment, String(batches)], {
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    const [, signal] = await once(running, 'close');
    expect(signal).toBe('SIGKILL');
    const store = await openLevelStore(place);
    const opened = await openChain({ suite, store }, testGenesis()).catch((error: unknown) => error);
    if (opened instanceof Error) {
      expect(opened).toMatchObject({ code: 'store-corrupt' });
      await restore(taken, store);
    }
    const chain = await openChain({ suite, store }, testGenesis());
    expect(chain.head()).toEqual(bench.chain.head());
    await store.close();
  }
  await rm(folder, { recursive: true, force: true });
}, 60_000);
