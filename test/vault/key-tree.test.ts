import { createHash, createHmac, hkdfSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { fromHex, toHex, utf8 } from '../../src/base/bytes.ts';
import { systemDice } from '../../src/base/random.ts';
import { sealedCodec } from '../../src/vault/sealed/codec.ts';
import { sealedItems } from '../../src/vault/sealed/items.ts';
import { epochBelow, vaultKeys } from '../../src/vault/sealed/key-tree.ts';
import { readVectors } from './vectors.ts';

interface KeyVector {
  readonly secret: string;
  readonly id: string;
  readonly records: string;
  readonly names: string;
  readonly index: string;
  readonly terms: string;
  readonly indexRecords: string;
  readonly epochs: readonly { readonly number: number; readonly key: string }[];
  readonly blinded: readonly {
    readonly kind: 'name' | 'term';
    readonly plain: string;
    readonly blinded: string;
  }[];
  readonly sealed: readonly { readonly key: string; readonly plain: string; readonly sealed: string }[];
  readonly item: {
    readonly number: number;
    readonly epoch: number;
    readonly place: string;
    readonly stored: string;
    readonly value: { readonly key: string; readonly plain: string; readonly stored: string };
  };
}

interface BadSeal {
  readonly why: string;
  readonly secret: string;
  readonly key: string;
  readonly sealed: string;
}

const { valid, invalid } = readVectors<KeyVector, BadSeal>('vault-keys');

function hex(text: string): Uint8Array {
  const bytes = fromHex(text);
  if (bytes === undefined) throw new Error(`not hex: ${text}`);
  return bytes;
}

const hkdf = (key: Uint8Array, label: string): string =>
  Buffer.from(hkdfSync('sha256', key, Buffer.alloc(0), `sahara/1/vault/${label}`, 32)).toString('hex');

describe('the keys of a vault', () => {
  it.each(valid)('KNOW-100, KNOW-101, KNOW-103: follow from the secret $secret', (vector) => {
    const secret = hex(vector.secret);
    const keys = vaultKeys(secret);
    expect(toHex(keys.id)).toBe(vector.id);
    expect(toHex(keys.records)).toBe(vector.records);
    expect(toHex(keys.names)).toBe(vector.names);
    expect(toHex(keys.index)).toBe(vector.index);
    // The same by the formula, beside the code.
    expect(vector.id).toBe(hkdf(secret, 'id').slice(0, 32));
    expect(vector.records).toBe(hkdf(secret, 'records'));
    expect(vector.terms).toBe(hkdf(hex(vector.index), 'terms'));
    expect(vector.indexRecords).toBe(hkdf(hex(vector.index), 'index-records'));
    for (const { number, key } of vector.epochs) expect(toHex(keys.epoch(number))).toBe(key);
    for (const { number, key } of [...vector.epochs].reverse()) expect(toHex(keys.epoch(number))).toBe(key);
    const codec = sealedCodec({ keys, dice: systemDice });
    for (const { kind, plain, blinded } of vector.blinded) {
      expect(toHex(codec.blind(kind, utf8(plain)))).toBe(blinded);
      const key = kind === 'name' ? vector.names : vector.terms;
      expect(blinded).toBe(createHmac('sha256', hex(key)).update(plain).digest('hex').slice(0, 32));
    }
  });

  it('KNOW-101: from the key of an epoch come all earlier ones, each by one hash', () => {
    const keys = vaultKeys(hex(valid[0]?.secret ?? ''));
    const five = { number: 5, key: keys.epoch(5) };
    expect(toHex(epochBelow(five, 3))).toBe(toHex(keys.epoch(3)));
    expect(() => epochBelow(five, 6)).toThrow('an earlier epoch');
    const domain = Buffer.from('sahara/1/vault/epoch');
    const once = createHash('sha256').update(Buffer.concat([Buffer.from([domain.length]), domain, five.key]));
    expect(once.digest('hex')).toBe(toHex(keys.epoch(4)));
  });

  it.each(valid)(
    'KNOW-102, KNOW-105: open what was sealed under $secret',
    async ({ secret, sealed, item }) => {
      const keys = vaultKeys(hex(secret));
      const codec = sealedCodec({ keys, dice: systemDice });
      for (const { key, plain, sealed: stored } of sealed) {
        expect(toHex(codec.open(hex(key), hex(stored)))).toBe(plain);
      }
      const items = sealedItems({ keys, dice: systemDice });
      const read = async (key: Uint8Array): Promise<Uint8Array | undefined> =>
        toHex(key) === item.place ? hex(item.stored) : undefined;
      expect(toHex(await items.open(hex(item.value.key), hex(item.value.stored), read))).toBe(
        item.value.plain,
      );
      expect(await items.epochOf(item.number, read)).toBe(item.epoch);
      const gone = sealedItems({ keys, dice: systemDice });
      const value = gone.open(hex(item.value.key), hex(item.value.stored), async () => undefined);
      await expect(value).rejects.toMatchObject({ code: 'store-corrupt' });
    },
  );

  it.each(invalid)('KNOW-102: refuse $why', ({ secret, key, sealed }) => {
    const codec = sealedCodec({ keys: vaultKeys(hex(secret)), dice: systemDice });
    expect(() => codec.open(hex(key), hex(sealed))).toThrow('store-corrupt');
  });
});
