import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Candidate,
  candidatesOf,
  drawToken,
  randomOf,
  SAMPLING_DEFAULTS,
  type TokenChooser,
} from '../../../src/agent/llama/sampler.ts';
import { detectMarks, normalTail } from '../../../src/agent/watermark/detect.ts';
import {
  createMarkChooser,
  MARK_LAYERS,
  markBits,
  playTournament,
} from '../../../src/agent/watermark/tournament.ts';

const VOCABULARY = 150;
const keyOf = (name: string): Uint8Array => createHash('sha256').update(name).digest();

/** A language model without weights: scores of the next token that depend on the two tokens before it, from a seed. */
function scoresAfter(tokens: readonly number[], sharpness: number): readonly (readonly [number, number])[] {
  const random = randomOf(createHash('sha256').update(tokens.slice(-2).join(' ')).digest().readUInt32BE(0));
  return Array.from({ length: VOCABULARY }, (_, token): readonly [number, number] => [
    token,
    sharpness * random(),
  ]);
}

function write(options: {
  seed: number;
  length: number;
  chooser: () => TokenChooser;
  sharpness?: number;
}): number[] {
  const { seed, length, sharpness = 9 } = options;
  const random = randomOf(seed);
  const choose = options.chooser();
  const sampling = { ...SAMPLING_DEFAULTS, temperature: 1, topK: 64, topP: 1, minP: 0 };
  const tokens = [1, 2, seed % VOCABULARY];
  for (let generated = 0; generated < length; generated++) {
    const candidates = candidatesOf(scoresAfter(tokens, sharpness), sampling);
    tokens.push(choose(candidates, { tokens, generated, random }));
  }
  return tokens.slice(3);
}

const plain = (): TokenChooser => drawToken;
const marked = (key: Uint8Array) => (): TokenChooser => createMarkChooser(key);
const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

describe('the tournament', () => {
  test('MODEL-70: over all keys every candidate keeps its probability', () => {
    const candidates: readonly Candidate[] = [0.55, 0.25, 0.15, 0.05].map((probability, token) => ({
      token,
      probability,
    }));
    const sums = candidates.map(() => 0);
    // All ways in which one round's bits can fall; the other rounds have no ones and change nothing.
    for (let fall = 0; fall < 16; fall++) {
      playTournament(candidates, (token) => (fall >>> token) & 1).forEach(({ probability }, i) => {
        sums[i] = (sums[i] ?? 0) + probability / 16;
      });
    }
    sums.forEach((sum, i) => {
      expect(sum).toBeCloseTo(candidates[i]?.probability ?? 0, 12);
    });
    const drawn = candidates.map(() => 0);
    const keys = 4_000;
    for (let k = 0; k < keys; k++) {
      const bits = markBits(keyOf(`k${k}`), [5, 6, 7]);
      playTournament(candidates, bits).forEach(({ probability }, i) => {
        drawn[i] = (drawn[i] ?? 0) + probability / keys;
      });
    }
    drawn.forEach((share, i) => {
      const p = candidates[i]?.probability ?? 0;
      expect(Math.abs(share - p)).toBeLessThan(5 * Math.sqrt((p * (1 - p)) / keys));
    });
  });

  test('MODEL-70: probabilities stay ones that add up to 1', () => {
    const weights = fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 2, maxLength: 64 });
    fc.assert(
      fc.property(weights, fc.uint8Array({ minLength: 32, maxLength: 32 }), (parts, key) => {
        const sum = parts.reduce((a, b) => a + b, 0);
        const candidates = parts.map((part, token) => ({ token, probability: part / sum }));
        const after = playTournament(candidates, markBits(key, [1, 2, 3]));
        expect(after.reduce((total, { probability }) => total + probability, 0)).toBeCloseTo(1, 9);
        expect(after.every(({ probability }) => probability >= 0)).toBe(true);
      }),
    );
  });

  test('MODEL-71: bits depend on key, context and token, and are even', () => {
    const bits = markBits(keyOf('a'), [1, 2, 3]);
    expect(Array.from({ length: 6 }, (_, token) => bits(token))).toEqual(
      [1, 2, 3, 4, 5, 6].map((_, token) => markBits(keyOf('a'), [1, 2, 3])(token)),
    );
    const all = Array.from({ length: 2_000 }, (_, token) => bits(token));
    for (let layer = 0; layer < MARK_LAYERS; layer++) {
      const ones = all.filter((value) => (value >>> layer) & 1).length;
      expect(Math.abs(ones - 1_000)).toBeLessThan(5 * Math.sqrt(500));
    }
    expect(all).not.toEqual(
      Array.from({ length: 2_000 }, (_, token) => markBits(keyOf('b'), [1, 2, 3])(token)),
    );
    expect(all).not.toEqual(
      Array.from({ length: 2_000 }, (_, token) => markBits(keyOf('a'), [1, 2, 4])(token)),
    );
  });

  test('MODEL-71: the same seed and key give the same text; a context that came before is not marked again', () => {
    const once = write({ seed: 3, length: 60, chooser: marked(keyOf('a')) });
    expect(write({ seed: 3, length: 60, chooser: marked(keyOf('a')) })).toEqual(once);
    expect(write({ seed: 3, length: 60, chooser: plain })).not.toEqual(once);
    const choose = createMarkChooser(keyOf('a'));
    const even = Array.from({ length: 64 }, (_, token) => ({ token, probability: 1 / 64 }));
    const at = (random: number): number =>
      choose(even, { tokens: [1, 2, 3], generated: 0, random: () => random });
    at(0.5);
    expect([at(0.01), at(0.5), at(0.99)]).toEqual([0, 32, 63]);
  });
});

describe('the detector', () => {
  const texts = (chooser: () => TokenChooser, count: number, length = 200, sharpness = 9): number[][] =>
    Array.from({ length: count }, (_, i) => write({ seed: 1000 + i, length, chooser, sharpness }));
  const key = { name: 'own', key: keyOf('own') };

  test('MODEL-72: marked texts stand far above chance, others and other keys do not', () => {
    const with_ = texts(marked(key.key), 8).map((tokens) => detectMarks(tokens, [key]));
    for (const { verdict, scores } of with_) {
      expect(verdict).toBe('marked');
      expect(scores[0]?.z).toBeGreaterThan(8);
    }
    const without = texts(plain, 40).map((tokens) => detectMarks(tokens, [key]).scores[0]?.z ?? 99);
    expect(Math.max(...without.map(Math.abs))).toBeLessThan(4);
    expect(Math.abs(mean(without))).toBeLessThan(0.7);
    expect(mean(without.map((z) => z * z))).toBeGreaterThan(0.5);
    expect(mean(without.map((z) => z * z))).toBeLessThan(1.7);
    const other = texts(marked(keyOf('other')), 8).map(
      (tokens) => detectMarks(tokens, [key]).scores[0]?.z ?? 99,
    );
    expect(Math.max(...other.map(Math.abs))).toBeLessThan(4);
  });

  test('MODEL-73: several keys are corrected for, and the right one comes first', () => {
    const keys = Array.from({ length: 50 }, (_, i) => ({ name: `k${i}`, key: keyOf(`k${i}`) }));
    const [text = []] = texts(marked(keyOf('k17')), 1);
    const report = detectMarks(text, keys);
    expect([report.verdict, report.scores[0]?.name]).toEqual(['marked', 'k17']);
    expect(report.scores[1]?.pAll).toBeGreaterThan(0.05);
    for (const { p, pAll } of report.scores) expect(pAll).toBe(Math.min(1, 50 * p));
    const clean = texts(plain, 8).map((tokens) => detectMarks(tokens, keys).verdict);
    expect(new Set(clean)).toEqual(new Set(['not-shown']));
  });

  test('MODEL-74: it says what it cannot tell: short texts, and texts with little choice in them', () => {
    const [short = []] = texts(marked(key.key), 1, 90);
    expect(detectMarks(short, [key]).verdict).toBe('too-short');
    const [sure = []] = texts(marked(key.key), 1, 200, 3000);
    expect(detectMarks(sure, [key]).scores[0]?.z).toBeLessThan(6);
    const same = detectMarks(
      Array.from({ length: 500 }, () => 7),
      [key],
    );
    expect([same.verdict, same.scores[0]?.scored, same.repeated]).toEqual(['too-short', 1, 496]);
    expect(detectMarks([], [key])).toMatchObject({ verdict: 'too-short', tokens: 0, repeated: 0 });
    expect(detectMarks(short, []).scores).toEqual([]);
  });

  test('MODEL-74: other words in a quarter of the places weaken it, in most places remove it', () => {
    const [text = []] = texts(marked(key.key), 1, 400);
    const spoilt = (every: number): number[] =>
      text.map((token, i) => (i % every === 0 ? (token + 1) % VOCABULARY : token));
    const z = (tokens: number[]): number => detectMarks(tokens, [key]).scores[0]?.z ?? 0;
    expect(z(spoilt(16))).toBeLessThan(z(text));
    expect(z(spoilt(2))).toBeLessThan(4);
    expect(z(text.slice(150))).toBeGreaterThan(6);
  });

  test('MODEL-73: p-values are those of the normal distribution', () => {
    const known = [
      [0, 0.5],
      [1, 0.158655254],
      [1.959963985, 0.025],
      [4, 3.16712e-5],
      [6, 9.86588e-10],
      [-2, 0.977249868],
    ] as const;
    for (const [z, p] of known) expect(normalTail(z) / p).toBeCloseTo(1, 5);
  });
});
