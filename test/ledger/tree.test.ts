import fc from 'fast-check';
import { expect, test } from 'vitest';
import { concat, toHex, utf8 } from '../../src/base/bytes.ts';
import { createMemoryStore, type Store } from '../../src/base/store.ts';
import type { StateChange } from '../../src/ledger/state.ts';
import { createStateTree, type StateTree } from '../../src/ledger/tree.ts';
import { bitAt, PLACEHOLDER, stateProof, verifyStateProof } from '../../src/protocol/state-proof.ts';
import { suite } from './support.ts';

type Entry = readonly [keyHash: Uint8Array, valueHash: Uint8Array];

/** The tree's definition, word for word: slow, and written without regard to pages. */
function rootByDefinition(entries: readonly Entry[], depth = 0): Uint8Array {
  const [first] = entries;
  if (first === undefined) return PLACEHOLDER;
  if (entries.length === 1) return suite.sha256(utf8('JMT::LeafNode'), ...first);
  const left = entries.filter(([key]) => bitAt(key, depth) === 0);
  const right = entries.filter(([key]) => bitAt(key, depth) === 1);
  return suite.sha256(
    utf8('JMT::IntrnalNode'),
    rootByDefinition(left, depth + 1),
    rootByDefinition(right, depth + 1),
  );
}

function rootOf(state: ReadonlyMap<string, StateChange>): Uint8Array {
  const live = [...state.values()].flatMap(({ key, value }): Entry[] =>
    value ? [[suite.sha256(key), suite.sha256(value)]] : [],
  );
  return rootByDefinition(live);
}

function open(store: Store, cached?: number): StateTree {
  return createStateTree(suite, (path) => store.getSync(path), cached);
}

async function apply(store: Store, tree: StateTree, changes: readonly StateChange[]): Promise<Uint8Array> {
  const update = tree.update(changes);
  await store.batch(tree.operations(update));
  tree.adopt(update);
  return update.root;
}

const batches = fc.array(
  fc.uniqueArray(
    fc.tuple(fc.integer({ min: 0, max: 60 }), fc.option(fc.integer({ min: 0, max: 9 }), { nil: undefined })),
    { selector: ([key]) => key, maxLength: 30 },
  ),
  { maxLength: 8 },
);

test('LEDGER-30 LEDGER-31: any sequence of changes gives the root of the definition, cached or not', async () => {
  await fc.assert(
    fc.asyncProperty(batches, async (sequence) => {
      const store = createMemoryStore();
      const tree = open(store, 3);
      const state = new Map<string, StateChange>();
      for (const batch of sequence) {
        const changes = batch.map(([key, value]) => ({
          key: utf8(`key ${key}`),
          value: value === undefined ? undefined : utf8(`value ${value}`),
        }));
        for (const change of changes) state.set(toHex(change.key), change);
        const root = await apply(store, tree, changes);
        expect(toHex(root)).toBe(toHex(rootOf(state)));
        expect(toHex(open(store).root())).toBe(toHex(root));
      }
      // Nothing is left of what is gone.
      const removed = [...state.values()].map(({ key }) => ({ key, value: undefined }));
      await apply(store, tree, removed);
      for await (const [path] of store.entries()) expect(path).toBe('no page');
      expect(tree.root()).toEqual(PLACEHOLDER);
    }),
    { numRuns: 60 },
  );
});

test('LEDGER-32: every entry is proved present, every other key absent, and no altered proof passes', async () => {
  const store = createMemoryStore();
  const tree = open(store);
  const keys = Array.from({ length: 300 }, (_, i) => utf8(`entry ${i}`));
  await apply(
    store,
    tree,
    keys.map((key) => ({ key, value: concat(key, key) })),
  );
  const root = tree.root();
  for (const key of keys) {
    const proof = tree.prove(key);
    expect(verifyStateProof(suite, root, { key, value: concat(key, key) }, proof)).toBe(true);
    expect(verifyStateProof(suite, root, { key, value: key }, proof)).toBe(false);
    expect(verifyStateProof(suite, root, { key, value: undefined }, proof)).toBe(false);
  }
  for (let i = 0; i < 300; i++) {
    const key = utf8(`absent ${i}`);
    const proof = stateProof.decode(stateProof.encode(tree.prove(key)));
    expect(verifyStateProof(suite, root, { key, value: undefined }, proof)).toBe(true);
    expect(verifyStateProof(suite, root, { key, value: key }, proof)).toBe(false);
    const shorter = { ...proof, siblings: proof.siblings.slice(1) };
    expect(verifyStateProof(suite, root, { key, value: undefined }, shorter)).toBe(false);
    const other = utf8(`entry ${i}`);
    expect(verifyStateProof(suite, root, { key: other, value: undefined }, proof)).toBe(false);
  }
});

test('an empty tree proves that it holds nothing', () => {
  const tree = open(createMemoryStore());
  const key = utf8('anything');
  expect(verifyStateProof(suite, PLACEHOLDER, { key, value: undefined }, tree.prove(key))).toBe(true);
  expect(verifyStateProof(suite, PLACEHOLDER, { key, value: key }, tree.prove(key))).toBe(false);
});

// The vectors that the reference implementation publishes for SHA-256: github.com/penumbra-zone/jmt,
// src/tests/sha2_256_vectors.json at 9b363c656aba7bb4cf197f02050e355b43d6d71d.
test('LEDGER-30: roots are those of the published vectors of the reference implementation', () => {
  const vectors = [
    ['5350415253455f4d45524b4c455f504c414345484f4c4445525f484153485f5f', []],
    ['6b97115f56e533f2fd443f7e76e4d1ff94d34e6b2e233f2dbdf5cfd1ec39a30c', ['hello']],
    ['e1e1e220d4b4a9611a9a09dbcee964b4a6c3a40f6f4dee265ad45cf64568790b', ['hello', 'goodbye']],
  ] as const;
  for (const [root, keys] of vectors) {
    const changes = keys.map((key) => ({ key: utf8(key), value: utf8('world') }));
    const tree = open(createMemoryStore());
    expect(toHex(tree.update(changes).root)).toBe(root);
    expect(toHex(tree.update([...changes].reverse()).root)).toBe(root);
    tree.adopt(tree.update(changes));
    const proof = tree.prove(utf8('hello'));
    const value = keys.length === 0 ? undefined : utf8('world');
    expect(verifyStateProof(suite, tree.root(), { key: utf8('hello'), value }, proof)).toBe(true);
  }
});
