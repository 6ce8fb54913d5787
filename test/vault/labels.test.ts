/** Who may have which passages in answers. */
import { describe, expect, test } from 'vitest';
import { fromHex } from '../../src/base/bytes.ts';
import { systemClock } from '../../src/base/clock.ts';
import { createMemoryStore, type Store } from '../../src/base/store.ts';
import type { Label } from '../../src/vault/labels.ts';
import { vaultKeys } from '../../src/vault/sealed/key-tree.ts';
import { openVault, type Vault } from '../../src/vault/vault.ts';
import { isOpen, visibleTo } from '../../src/vault/visible.ts';
import { addText, provenance, texts } from './fixtures.ts';

const key = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);
const [ADA, BEA] = [key(1), key(2)];
const KEYS = vaultKeys(key(7));
const NOW = systemClock.nowMs();
const DAY = 86_400_000;

const label = (place: string, readers: Partial<Label> = {}): Label => ({
  ...{ place, granted: false, readers: [], licences: [], untilMs: undefined },
  ...readers,
});

async function vaultWith(
  documents: Readonly<Record<string, string>>,
): Promise<{ store: Store; vault: Vault }> {
  const store = createMemoryStore();
  const vault = await openVault({ store, clock: systemClock }, { keys: KEYS });
  for (const [name, text] of Object.entries(documents)) await addText(vault, name, text, provenance());
  return { store, vault };
}

async function seenBy(
  vault: Vault,
  caller: Uint8Array,
  { question = 'camel', nowMs = NOW, licensed = () => false as boolean } = {},
): Promise<readonly string[]> {
  const visible = visibleTo(vault, { caller, nowMs, licensed });
  return texts((await vault.search({ question, ...(visible && { visible }) })).hits).sort();
}

describe('labels', () => {
  test('KNOW-174: the nearest label counts: name, then folder, then the whole vault', async () => {
    const { vault } = await vaultWith({
      'notes/a.md': 'A camel a.',
      'notes/inner/b.md': 'A camel b.',
      'notes/inner/c.md': 'A camel c.',
    });
    expect(await seenBy(vault, ADA)).toHaveLength(3);
    await vault.labels.put(label('/', { readers: [ADA] }));
    expect([await seenBy(vault, ADA), await seenBy(vault, BEA)].map(({ length }) => length)).toEqual([3, 0]);
    await vault.labels.put(label('notes/inner/', { readers: [BEA] }));
    expect(await seenBy(vault, ADA)).toEqual(['A camel a.']);
    expect(await seenBy(vault, BEA)).toEqual(['A camel b.', 'A camel c.']);
    await vault.labels.put(label('notes/inner/c.md'));
    expect(await seenBy(vault, BEA)).toEqual(['A camel b.']);
    expect(await vault.labels.drop('notes/inner/')).toBe(true);
    expect(await vault.labels.drop('notes/inner/')).toBe(false);
    expect(await seenBy(vault, ADA)).toEqual(['A camel a.', 'A camel b.']);
  });

  test('KNOW-174: labels are kept, and hold for what is imported later', async () => {
    const { store, vault } = await vaultWith({ 'a.md': 'A camel a.' });
    const asset = fromHex('ab'.repeat(32)) ?? key(0);
    const kept = [
      label('a.md', { granted: true, untilMs: 5 }),
      label('in/', { readers: [ADA], licences: [asset] }),
    ];
    for (const one of kept) await vault.labels.put(one);
    const again = await openVault({ store, clock: systemClock }, { keys: KEYS });
    expect(again.labels.list()).toEqual(kept);
    const before = visibleTo(again, { caller: BEA, nowMs: NOW, licensed: () => false });
    await addText(again, 'in/b.md', 'A camel b.');
    expect(await seenBy(again, BEA)).toEqual([]);
    expect(await seenBy(again, ADA)).toEqual(['A camel b.']);
    // The same rights are the same function, which makes one view for all who have them.
    expect(visibleTo(again, { caller: key(3), nowMs: NOW, licensed: () => false })).toBe(before);
  });

  test('KNOW-174: a text under several names is shown to whom all of them show it', async () => {
    const { vault } = await vaultWith({ 'open.md': 'A camel.', 'secret/same.md': 'A camel.' });
    await vault.labels.put(label('secret/'));
    expect(await seenBy(vault, ADA)).toEqual([]);
    for await (const document of vault.documents()) expect(isOpen(vault, document)).toBe(false);
    await vault.remove('secret/same.md');
    expect(await seenBy(vault, ADA)).toEqual(['A camel.']);
    for await (const document of vault.documents()) expect(isOpen(vault, document)).toBe(true);
  });

  test('KNOW-175: holders of grants for answers have what came up to their epoch, while the grant counts', async () => {
    const { vault } = await vaultWith({ 'a.md': 'A camel a.' });
    await vault.labels.put(label('/', { granted: true }));
    const grant = {
      id: new Uint8Array(16).fill(1),
      reader: ADA,
      purposes: ['train'],
      expiresAtMs: undefined,
    } as const;
    await vault.grants.add(grant, NOW);
    expect(await seenBy(vault, ADA)).toEqual([]);
    const answer = {
      ...grant,
      id: new Uint8Array(16).fill(2),
      purposes: ['answer'],
      expiresAtMs: NOW + DAY,
    } as const;
    await vault.grants.add(answer, NOW);
    expect(await seenBy(vault, ADA)).toEqual(['A camel a.']);
    expect(await seenBy(vault, BEA)).toEqual([]);
    await vault.grants.add({ ...grant, id: new Uint8Array(16).fill(3), reader: BEA }, NOW);
    await vault.grants.revoke(BEA, NOW);
    await addText(vault, 'b.md', 'A camel b.');
    expect(await seenBy(vault, ADA)).toEqual(['A camel a.']);
    expect(await seenBy(vault, ADA, { nowMs: NOW + DAY })).toEqual([]);
    await vault.grants.revoke(ADA, NOW);
    expect(await seenBy(vault, ADA)).toEqual([]);
  });

  test('KNOW-175: licences make readers, and a label ends when it says so', async () => {
    const { vault } = await vaultWith({ 'a.md': 'A camel a.' });
    const asset = key(9);
    await vault.labels.put(label('a.md', { licences: [asset], untilMs: NOW + 10 }));
    const licensed = (of: Uint8Array, caller: Uint8Array): boolean => of[0] === 9 && caller[0] === 1;
    expect(await seenBy(vault, ADA, { licensed } as never)).toEqual(['A camel a.']);
    expect(await seenBy(vault, BEA, { licensed } as never)).toEqual([]);
    expect(await seenBy(vault, ADA, { licensed, nowMs: NOW + 10 } as never)).toEqual([]);
  });

  test('KNOW-176: what is hidden changes no number and corrects no word of a search', async () => {
    const open = { 'a.md': 'A camel walks.', 'b.md': 'Sand is dry.' };
    const { vault: without } = await vaultWith(open);
    const { vault } = await vaultWith({
      ...open,
      'secret.md': 'A camel called Zephyrine walks by the camel well.',
    });
    await vault.labels.put(label('secret.md', { readers: [ADA] }));
    const visible = visibleTo(vault, { caller: BEA, nowMs: NOW, licensed: () => false });
    for (const question of ['camel', 'zephyrin', 'zephyrine camel well', '"camel well"']) {
      const { hits, ...rest } = await vault.search({ question, ...(visible && { visible }) });
      const plain = await without.search({ question });
      expect(texts(hits)).toEqual(texts(plain.hits));
      expect(hits.map(({ score }) => score)).toEqual(plain.hits.map(({ score }) => score));
      expect(rest.terms).toEqual(plain.terms);
      expect(rest.stats.chunks).toBe(plain.stats.chunks);
      expect(rest.stats.lengthTotal).toBe(plain.stats.lengthTotal);
    }
    expect(await seenBy(vault, ADA, { question: 'zephyrine' })).toHaveLength(1);
  });

  test('a label needs a place and has few readers', async () => {
    const { vault } = await vaultWith({});
    await expect(vault.labels.put(label(''))).rejects.toMatchObject({ code: 'usage' });
    const many = Array.from({ length: 1025 }, () => ADA);
    await expect(vault.labels.put(label('a', { readers: many }))).rejects.toMatchObject({
      code: 'home-full',
    });
  });
});
