/** An index whose terms were made by older rules is written anew from the sealed passages. */
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { systemDice } from '../../src/base/random.ts';
import { createMemoryStore, type Store } from '../../src/base/store.ts';
import { headRecord } from '../../src/vault/head.ts';
import { HEAD_KEY } from '../../src/vault/keys.ts';
import type { RenewalProgress } from '../../src/vault/renewal.ts';
import { sealedCodec } from '../../src/vault/sealed/codec.ts';
import { vaultKeys } from '../../src/vault/sealed/key-tree.ts';
import { buildSegment } from '../../src/vault/search/segment.ts';
import { ANALYSIS_VERSION } from '../../src/vault/text/words.ts';
import { openVault, type Vault } from '../../src/vault/vault.ts';
import { provenance } from './fixtures.ts';

const keys = vaultKeys(new Uint8Array(32).fill(3));
const codec = sealedCodec({ keys, dice: systemDice });
const CHUNKS = 700;
const DOCUMENTS = 4;
const ALL = CHUNKS * DOCUMENTS;

async function fill(vault: Vault): Promise<void> {
  for (let at = 0; at < DOCUMENTS; at++) {
    const name = `d${at}.txt`;
    const chunks = Array.from({ length: CHUNKS }, (_, i) => {
      const text = `The ferry ${at}x${i} goes to harbour h${(i * 7) % 90}q.`;
      return { title: `Ferry ${at}`, text, start: 0, end: text.length };
    });
    const contentHash = new Uint8Array(createHash('sha256').update(name).digest());
    const extracted = { mediaType: 'text/plain', chunks };
    const sizes = { sizeBytes: 1, textBytes: 1, consent: '' };
    await vault.keep([{ name, contentHash, ...sizes, provenance: provenance(), extracted }]);
  }
  await vault.remove('d1.txt');
}

const open = (store: Store, options = {}): Promise<Vault> =>
  openVault({ store, clock: systemClock }, { keys, ...options });

/** A vault as older rules would have left it: the same passages, an index with other words. */
async function olderVault(): Promise<Store> {
  const store = createMemoryStore();
  const vault = await open(store);
  await fill(vault);
  await vault.close();
  const head = headRecord.decode(codec.open(HEAD_KEY, store.getSync(HEAD_KEY) ?? new Uint8Array(0)));
  const number = head.nextSegment;
  const old = Array.from({ length: CHUNKS }, (_, i) => ({ number: i, title: '', text: 'words of before' }));
  const segments = [{ number, first: 0, last: CHUNKS - 1, chunks: CHUNKS }];
  const written = {
    ...head,
    analysis: ANALYSIS_VERSION - 1,
    nextSegment: number + 1,
    segments,
    lengthTotal: 1,
  };
  await store.batch([
    ...buildSegment(number, old, codec).operations,
    { type: 'put', key: HEAD_KEY, value: codec.seal(HEAD_KEY, headRecord.encode(written)) },
  ]);
  return store;
}

async function expectRenewed(vault: Vault): Promise<void> {
  const fresh = await open(createMemoryStore());
  await fill(fresh);
  expect(await vault.commitment()).toEqual(await fresh.commitment());
  for (const question of ['Which ferry went to h7q?', 'ferry 3x699', 'ferry 1x5']) {
    const names = async (of: Vault) =>
      (await of.search({ question, limit: 5 })).hits.map(({ chunk, score }) => [chunk.text, score]);
    expect(await names(vault)).toEqual(await names(fresh));
  }
  expect((await vault.search({ question: 'before', limit: 5 })).hits).toEqual([]);
}

describe('a vault with an index of older rules', () => {
  test('KNOW-193: is written anew when it is opened, and then is as one into which all was imported', async () => {
    const told: RenewalProgress[] = [];
    const store = await olderVault();
    const vault = await open(store, { onRenewal: (progress: RenewalProgress) => told.push(progress) });
    await expectRenewed(vault);
    expect(told[0]).toEqual({ chunks: 0, of: ALL - CHUNKS });
    expect(told.at(-1)).toEqual({ chunks: ALL - CHUNKS, of: ALL - CHUNKS });
    await vault.close();
    const again: RenewalProgress[] = [];
    await open(store, { onRenewal: (progress: RenewalProgress) => again.push(progress) });
    expect(again).toEqual([]);
  });

  test('KNOW-193: goes on where it was stopped, and what it has then can be changed', async () => {
    const store = await olderVault();
    const stop = new AbortController();
    const onRenewal = ({ chunks }: RenewalProgress): void => {
      if (chunks > 0) stop.abort();
    };
    await expect(open(store, { onRenewal, signal: stop.signal })).rejects.toThrow();
    const told: RenewalProgress[] = [];
    const vault = await open(store, { onRenewal: (progress: RenewalProgress) => told.push(progress) });
    expect(told[0]?.chunks).toBeGreaterThan(0);
    await expectRenewed(vault);
    expect(await vault.remove('d2.txt')).toBe(true);
    expect((await vault.search({ question: 'ferry 2x5', limit: 1 })).hits[0]?.chunk.text).not.toContain(
      '2x5',
    );
  });

  test('KNOW-193: of rules that this version does not have is refused', async () => {
    const store = await olderVault();
    const head = headRecord.decode(codec.open(HEAD_KEY, store.getSync(HEAD_KEY) ?? new Uint8Array(0)));
    const value = codec.seal(HEAD_KEY, headRecord.encode({ ...head, analysis: ANALYSIS_VERSION + 1 }));
    await store.batch([{ type: 'put', key: HEAD_KEY, value }]);
    await expect(open(store)).rejects.toMatchObject({ code: 'store-corrupt' });
  });
});
