import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { fromHex, toHex } from '../../src/base/bytes.ts';
import { card } from '../../src/protocol/card.ts';
import { modelMade, modelMadeDigest } from '../../src/protocol/model-made.ts';
import { nativeSuite } from '../../src/protocol/suite-native.ts';
import { verifyBundle } from '../../src/protocol/verify-bundle.ts';
import { fileOf, filled, type Story, sampleStory } from './sample.ts';

interface Sound {
  readonly name: string;
  readonly record: string;
  readonly base: string;
  readonly adapters: readonly { readonly digest: string; readonly scale: number }[];
  readonly runtime: string;
  readonly marked: boolean;
  readonly digest: string;
}

const vectors = JSON.parse(
  readFileSync(new URL('../../spec/vectors/model-made.json', import.meta.url), 'utf8'),
) as {
  readonly valid: readonly Sound[];
  readonly invalid: readonly { readonly name: string; readonly record: string }[];
};
const bytes = (hex: string): Uint8Array => fromHex(hex) ?? new Uint8Array(0);

describe('what a model is made of', () => {
  test.each(vectors.valid)('RCPT-80: $name', ({ record, base, adapters, runtime, marked, digest }) => {
    const made = {
      base: bytes(base),
      adapters: adapters.map((adapter) => ({ ...adapter, digest: bytes(adapter.digest) })),
      runtime,
      marked,
    };
    expect(toHex(modelMade.encode(made))).toBe(record);
    expect(modelMade.decode(bytes(record))).toEqual(made);
    expect(toHex(modelMadeDigest(nativeSuite, made))).toBe(digest);
  });

  test.each(vectors.invalid)('RCPT-80: $name is refused', ({ record }) => {
    expect(() => modelMade.decode(bytes(record))).toThrow('malformed');
  });

  test('RCPT-80: a card says it, one without it reads as ever, and a bundle whose digest is another fails', () => {
    const made = {
      base: filled(1),
      adapters: [{ digest: filled(2), scale: 600_000 }],
      runtime: 'r',
      marked: false,
    };
    const digest = modelMadeDigest(nativeSuite, made);
    const storyOf = (model: Story['card']['model']): Story => {
      const story = sampleStory();
      return { ...story, card: { ...story.card, model }, receipt: { modelDigest: model.digest } };
    };
    const sound = storyOf({ name: 'm', digest, determinism: 'seeded', made });
    expect(card.decode(card.encode(sound.card)).model.made).toEqual(made);
    expect(verifyBundle(nativeSuite, fileOf(sound)).ok).toBe(true);
    const plain = sampleStory();
    expect(card.decode(card.encode(plain.card)).model.made).toBeUndefined();
    const lying = storyOf({ name: 'm', digest, determinism: 'seeded', made: { ...made, base: filled(3) } });
    const verdict = verifyBundle(nativeSuite, fileOf(lying));
    expect(verdict.ok).toBe(false);
    expect(JSON.stringify(verdict)).toContain('the model is not made as it says');
  });
});
