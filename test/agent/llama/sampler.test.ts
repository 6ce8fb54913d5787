import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TokenStream } from '../../../src/agent/llama/host/stream.ts';
import {
  type Candidate,
  candidatesOf,
  drawToken,
  randomOf,
  SAMPLING_DEFAULTS,
} from '../../../src/agent/llama/sampler.ts';

const all = { temperature: 1, topK: 256, topP: 1, minP: 0, seed: 0 };
const scores = fc.uniqueArray(fc.tuple(fc.nat(1000), fc.double({ min: -30, max: 30, noNaN: true })), {
  minLength: 1,
  maxLength: 40,
  selector: ([token]) => token,
});

describe('candidates', () => {
  test('MODEL-18: add up to one, best first, equal ones by their tokens', () => {
    fc.assert(
      fc.property(scores, (logits) => {
        const found = candidatesOf(logits, all);
        expect(found.reduce((sum, { probability }) => sum + probability, 0)).toBeCloseTo(1, 9);
        const shuffled = candidatesOf(logits.toReversed(), all);
        expect(shuffled).toEqual(found);
        for (let i = 1; i < found.length; i++) {
          expect(found[i]?.probability).toBeLessThanOrEqual(found[i - 1]?.probability ?? 0);
        }
      }),
    );
    expect(
      candidatesOf(
        [
          [9, 1],
          [4, 1],
        ],
        { ...all, temperature: 0 },
      ),
    ).toEqual([{ token: 4, probability: 1 }]);
  });

  test('MODEL-18: are cut by number, by share and by the best', () => {
    // Probabilities of one half, one quarter, one eighth and one eighth.
    const logits = [8, 4, 2, 2].map((weight, i) => [i, Math.log(weight)] as const);
    const tokens = (options: Partial<typeof all>): readonly number[] =>
      candidatesOf(logits, { ...all, ...options }).map(({ token }) => token);
    expect(tokens({})).toEqual([0, 1, 2, 3]);
    expect(tokens({ topK: 3 })).toEqual([0, 1, 2]);
    expect(tokens({ topP: 0.6 })).toEqual([0, 1]);
    expect(tokens({ topP: 0.4 })).toEqual([0]);
    expect(tokens({ minP: 0.3 })).toEqual([0, 1]);
    expect(tokens({ minP: 1 })).toEqual([0]);
    const [hot] = candidatesOf(logits, { ...all, temperature: 5 });
    const [cold] = candidatesOf(logits, { ...all, temperature: 0.2 });
    expect(hot?.probability).toBeLessThan(0.4);
    expect(cold?.probability).toBeGreaterThan(0.9);
  });
});

describe('draws', () => {
  const context = (random: () => number) => ({ tokens: [], generated: 0, random });
  const candidates: readonly Candidate[] = [
    { token: 5, probability: 0.5 },
    { token: 6, probability: 0.25 },
    { token: 7, probability: 0.25 },
  ];

  test('MODEL-19: take the candidate in whose share the number falls, and draw nothing for one alone', () => {
    const at = (number: number): number =>
      drawToken(
        candidates,
        context(() => number),
      );
    expect([0, 0.49, 0.5, 0.74, 0.75, 0.999_999].map(at)).toEqual([5, 5, 6, 6, 7, 7]);
    const never = (): number => {
      throw new RangeError('nothing is drawn');
    };
    expect(drawToken(candidates.slice(0, 1), context(never))).toBe(5);
  });

  test('MODEL-19: the generator is sfc32, and near seeds are not alike', () => {
    const first = (seed: number): readonly number[] => {
      const random = randomOf(seed);
      return [random(), random(), random()];
    };
    expect(first(0).map((x) => x * 2 ** 32)).toEqual(reference(0));
    expect(first(1).map((x) => x * 2 ** 32)).toEqual(reference(1));
    expect(first(2 ** 32 - 1).map((x) => x * 2 ** 32)).toEqual(reference(2 ** 32 - 1));
    expect(Math.abs((first(0)[0] ?? 0) - (first(1)[0] ?? 0))).toBeGreaterThan(1e-3);
    expect(SAMPLING_DEFAULTS.temperature).toBe(0);
  });

  test('MODEL-19: come as often as they are probable', () => {
    const random = randomOf(7);
    const counts = new Map<number, number>();
    for (let i = 0; i < 20_000; i++) {
      const token = drawToken(candidates, context(random));
      counts.set(token, (counts.get(token) ?? 0) + 1);
    }
    expect((counts.get(5) ?? 0) / 20_000).toBeCloseTo(0.5, 1);
    expect((counts.get(6) ?? 0) / 20_000).toBeCloseTo(0.25, 1);
  });
});

/** The same generator in integers without bounds: three numbers after fifteen. */
function reference(seed: number): readonly number[] {
  const mask = 0xffff_ffffn;
  let [a, b, c, counter] = [0x9e37_79b9n, 0x243f_6a88n, BigInt(seed), 1n];
  const found: number[] = [];
  for (let i = 0; i < 18; i++) {
    const sum = (a + b + counter) & mask;
    counter = (counter + 1n) & mask;
    a = b ^ (b >> 9n);
    b = (c + (c << 3n)) & mask;
    c = ((((c << 21n) | (c >> 11n)) & mask) + sum) & mask;
    if (i >= 15) found.push(Number(sum));
  }
  return found;
}

describe('text out of tokens', () => {
  /** Tokens are bytes. */
  const bytes = (tokens: readonly number[]): string => Buffer.from(tokens).toString('utf8');
  const run = (
    text: string,
    stops: readonly string[],
  ): { readonly pieces: readonly string[]; readonly stopped: boolean } => {
    const stream = new TokenStream(
      bytes,
      stops.map((stop) => ({ text: stop, kind: 'stop' })),
    );
    const pieces: string[] = [];
    for (const token of Buffer.from(text)) {
      const step = stream.push(token);
      pieces.push(step.text);
      if (step.mark !== undefined) return { pieces, stopped: true };
    }
    return { pieces: [...pieces, stream.finish().text], stopped: false };
  };

  test('MODEL-20: comes in whole characters', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 30 }), (text) => {
        const { pieces } = run(text, []);
        expect(pieces.join('')).toBe(text);
        expect(pieces.some((piece) => piece.includes('\ufffd'))).toBe(text.includes('\ufffd'));
      }),
    );
  });

  test('MODEL-20: ends before a stop, and shows nothing of it', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 30 }), (text) => {
        const { pieces, stopped } = run(text, ['abc', 'cc']);
        const at = ['abc', 'cc'].map((stop) => text.indexOf(stop)).filter((found) => found >= 0);
        // Of two that overlap the one counts that is complete first.
        const ends = ['abc', 'cc']
          .map((stop) => [text.indexOf(stop), stop.length] as const)
          .filter(([found]) => found >= 0);
        const [first] = ends.toSorted((x, y) => x[0] + x[1] - y[0] - y[1]);
        expect(stopped).toBe(at.length > 0);
        expect(pieces.join('')).toBe(first === undefined ? text : text.slice(0, first[0]));
      }),
    );
  });
});
