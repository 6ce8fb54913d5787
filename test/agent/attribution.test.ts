import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { apportion, splitCharge } from '../../src/agent/attribution/apportion.ts';
import {
  type AttributionInput,
  attribute,
  type CitedPassage,
} from '../../src/agent/attribution/attribute.ts';
import { groupNearDuplicates } from '../../src/agent/attribution/duplicates.ts';
import { type CoverageGame, shapleyValues, worthOfAll } from '../../src/agent/attribution/game.ts';
import { roleShares } from '../../src/agent/attribution/shares.ts';
import { attributeWritten } from '../../src/agent/attribution/written.ts';
import { toHex } from '../../src/base/bytes.ts';
import { readVectors } from '../vault/vectors.ts';

const key = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);
const cited = (id: number, text: string, contributor = id, contribution?: number): CitedPassage => ({
  id: key(id),
  title: '',
  text,
  contributor: key(contributor),
  contribution: contribution === undefined ? undefined : key(contribution),
});
const coverage = (question: string, passages: readonly CitedPassage[]): AttributionInput => ({
  method: 'coverage',
  question,
  passages,
});
const ppms = (input: AttributionInput): number[] => {
  const { sources, residualPpm } = attribute(input);
  return [...sources.map(({ ppm }) => ppm), residualPpm];
};

/** Shapley by definition: the mean of what a player adds, over all orders, as a fraction over n!. */
function bruteForce(game: CoverageGame): { numerators: bigint[]; denominator: bigint } {
  const { players } = game;
  const worth = (set: number): bigint =>
    game.terms.reduce((sum, { weight, values }) => {
      let best = 0n;
      for (let p = 0; p < players; p++) {
        const value = values[p] ?? 0n;
        if (set & (1 << p) && value > best) best = value;
      }
      return sum + weight * best;
    }, 0n);
  const factorial = (n: number): bigint => (n < 2 ? 1n : BigInt(n) * factorial(n - 1));
  const numerators = Array.from({ length: players }, () => 0n);
  for (let set = 0; set < 1 << players; set++) {
    const size = [...set.toString(2)].filter((bit) => bit === '1').length;
    for (let p = 0; p < players; p++) {
      if (set & (1 << p)) continue;
      const orders = factorial(size) * factorial(players - size - 1);
      numerators[p] = (numerators[p] ?? 0n) + orders * (worth(set | (1 << p)) - worth(set));
    }
  }
  return { numerators, denominator: factorial(players) };
}

const games = fc.integer({ min: 1, max: 7 }).chain((players) =>
  fc.record({
    players: fc.constant(players),
    terms: fc.array(
      fc.record({
        weight: fc.bigInt({ min: 0n, max: 2_000_000n }),
        values: fc.array(fc.bigInt({ min: 0n, max: 1_000_000n }), { minLength: players, maxLength: players }),
      }),
      { maxLength: 6 },
    ),
  }),
);

describe('the game', () => {
  test('KNOW-28: equals brute force on random games, exactly', () => {
    fc.assert(
      fc.property(games, (game) => {
        const fast = shapleyValues(game);
        const slow = bruteForce(game);
        for (let p = 0; p < game.players; p++) {
          const left = (fast.numerators[p] ?? -1n) * slow.denominator;
          expect(left).toBe((slow.numerators[p] ?? -2n) * fast.denominator);
        }
        const sum = fast.numerators.reduce((all, value) => all + value, 0n);
        expect(sum).toBe(worthOfAll(game) * fast.denominator);
      }),
      { numRuns: 400 },
    );
  });

  interface GameVector {
    weights: string[];
    values: string[][];
    denominator: string;
    shapley: string[];
  }
  const gameOf = ({ weights, values }: GameVector): CoverageGame => ({
    players: values[0]?.length ?? 0,
    terms: values.map((row, i) => ({ weight: BigInt(weights[i] ?? '0'), values: row.map(BigInt) })),
  });
  test.each(readVectors<GameVector>('shapley').valid)('KNOW-28: vector $values', (vector) => {
    const { numerators, denominator } = shapleyValues(gameOf(vector));
    expect([numerators.map(String), String(denominator)]).toEqual([vector.shapley, vector.denominator]);
  });
  test.each(readVectors<GameVector>('shapley').invalid)('KNOW-28: not the value, $values', (vector) => {
    expect(shapleyValues(gameOf(vector)).numerators.map(String)).not.toEqual(vector.shapley);
  });
});

describe('parts that sum', () => {
  test('KNOW-30, KNOW-33: apportioned parts sum exactly and miss their quota by less than one', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max: 10n ** 18n }),
        fc.array(fc.bigInt({ min: 0n, max: 10n ** 12n }), { minLength: 1, maxLength: 40 }),
        (total, weights) => {
          const sum = weights.reduce((all, weight) => all + weight, 0n);
          fc.pre(sum > 0n);
          const parts = apportion(total, weights);
          expect(parts.reduce((all, part) => all + part, 0n)).toBe(total);
          for (const [i, part] of parts.entries()) {
            const floor = (total * (weights[i] ?? 0n)) / sum;
            expect(part === floor || part === floor + 1n).toBe(true);
          }
        },
      ),
    );
  });

  interface SplitVector {
    amount: string;
    shares: { asset: string; ppm: number }[];
    amounts: string[];
  }
  const splitOf = ({ amount, shares }: SplitVector): string[] =>
    splitCharge(
      BigInt(amount),
      shares.map(({ asset, ppm }) => ({ asset: new Uint8Array(Buffer.from(asset, 'hex')), ppm })),
    ).map(String);
  test.each(readVectors<SplitVector>('split').valid)('KNOW-33: vector $amount', (vector) => {
    expect(splitOf(vector)).toEqual(vector.amounts);
  });
  test.each(readVectors<SplitVector>('split').invalid)('KNOW-33: not the split of $amount', (vector) => {
    expect(splitOf(vector)).not.toEqual(vector.amounts);
  });

  test('KNOW-33: the order of shares changes nobody’s amount', () => {
    const shares = [3, 1, 2].map((fill) => ({ asset: key(fill), ppm: fill === 3 ? 333_334 : 333_333 }));
    const named = (list: typeof shares) =>
      Object.fromEntries(
        splitCharge(11n, list).map((amount, i) => [toHex(list[i]?.asset ?? key(0)), amount]),
      );
    expect(named(shares)).toEqual(named([...shares].reverse()));
  });
});

describe('attribution', () => {
  test('KNOW-27: one passage that holds every word earns everything', () => {
    expect(ppms(coverage('voucher ceiling', [cited(1, 'A voucher is a ceiling.')]))).toEqual([1_000_000, 0]);
  });

  test('KNOW-27: what no cited passage covers is the residual', () => {
    expect(ppms(coverage('voucher zebra', [cited(1, 'A voucher.')]))).toEqual([500_000, 500_000]);
    expect(ppms(coverage('voucher', []))).toEqual([1_000_000]);
    expect(ppms(coverage('what is the', [cited(1, 'A voucher.')]))).toEqual([0, 1_000_000]);
  });

  test('KNOW-27: with a corpus, rare words weigh more, and a stuffed passage gains nothing', () => {
    const corpus = {
      stats: { chunks: 1000, lengthTotal: 20_000 },
      terms: [
        { term: 'voucher', chunksWith: 500 },
        { term: 'watchtower', chunksWith: 1 },
      ],
    };
    const passages = [cited(1, 'The watchtower of the voucher.'), cited(2, 'Voucher.')];
    const input: AttributionInput = { method: 'coverage', question: 'voucher watchtower', passages, corpus };
    const [first = 0, second = 0] = ppms(input);
    expect(first).toBeGreaterThan(9 * second);
    const stuffed = [...passages, cited(3, `${'voucher '.repeat(50)}watch this.`)];
    const after = attribute({ ...input, passages: stuffed }).sources.map(({ ppm }) => ppm);
    expect(after[2]).toBeLessThan(60_000);
    expect(attribute(input).rule).toBe('coverage/1');
  });

  test('KNOW-29: copies split, however many there are; others lose nothing to them', () => {
    const long =
      'The voucher is a signed ceiling that only rises while the channel stays open for its payer.';
    const copies = (n: number) => Array.from({ length: n }, (_, i) => cited(10 + i, `${long} Copy.`, 50 + i));
    const other = cited(1, 'Watchtowers claim.', 1);
    for (const n of [1, 2, 5]) {
      const { sources } = attribute(coverage('voucher ceiling watchtower', [other, ...copies(n)]));
      const [own, ...rest] = sources.map(({ ppm }) => ppm);
      expect(own).toBe(333_333 + (rest.reduce((sum, ppm) => sum + ppm, 0) === 666_666 ? 1 : 0));
    }
    const mine = [cited(1, long, 9), cited(2, long, 9), cited(3, long, 8)];
    expect(ppms(coverage('voucher', mine))).toEqual([250_000, 250_000, 500_000, 0]);
    expect(
      groupNearDuplicates([long, `${long} Also.`, 'Something else entirely is said here today.']),
    ).toEqual([[0, 1], [2]]);
  });

  test('KNOW-30: sources, contributors and residual always sum to one million, and ids decide ties', () => {
    const words = fc.constantFrom('voucher', 'ceiling', 'payer', 'claim', 'channel', 'zebra');
    const text = fc.array(words, { minLength: 1, maxLength: 12 }).map((all) => all.join(' '));
    fc.assert(
      fc.property(
        text,
        fc.array(fc.tuple(text, fc.nat(4), fc.option(fc.nat(3))), { maxLength: 12 }),
        (question, all) => {
          const passages = all.map(([body, contributor, asset], i) =>
            cited(i, body, contributor, asset === null ? undefined : 100 + asset),
          );
          for (const input of [
            coverage(question, passages),
            { method: 'spans' as const, answer: question, passages },
          ]) {
            const result = attribute(input);
            const sum = (shares: readonly { ppm: number }[]) => shares.reduce((sum, { ppm }) => sum + ppm, 0);
            expect(sum(result.sources) + result.residualPpm).toBe(1_000_000);
            expect(sum(result.contributors) + result.residualPpm).toBe(1_000_000);
            expect(attribute({ ...input, passages: [...passages].reverse() })).toEqual(result);
          }
        },
      ),
    );
    const three = [1, 2, 3].map((id) => cited(id, `voucher number${id}`));
    expect(ppms(coverage('voucher', three))).toEqual([333_334, 333_333, 333_333, 0]);
  });

  test('KNOW-31: a written answer pays for the words that stand in a passage', () => {
    const passages = [
      cited(1, 'A watchtower keeps the latest voucher for someone offline.'),
      cited(2, 'Vouchers rise.'),
    ];
    const whole = 'A watchtower keeps the latest voucher for someone offline.';
    expect(ppms({ method: 'spans', answer: whole, passages: passages.slice(0, 1) })[0]).toBeGreaterThan(
      600_000,
    );
    const [first = 0, second, residual = 0] = ppms({
      method: 'spans',
      answer:
        'In short: a watchtower keeps the latest voucher. Elephants never forget anything at all, people say.',
      passages,
    });
    expect(first).toBeGreaterThan(0);
    expect(second).toBe(0);
    expect(residual).toBeGreaterThan(first);
  });

  test('KNOW-32: the split gives each role its part and the residual to the model, or to the agent', () => {
    const attribution = attribute(
      coverage('voucher zebra', [cited(1, 'A voucher.', 1, 41), cited(2, 'voucher two', 2)]),
    );
    const split = { knowledge: 700_000, operator: 200_000, model: 60_000, prompt: 40_000 };
    const of = (assets: Parameters<typeof roleShares>[2]) =>
      roleShares(split, attribution, assets).map(({ role, asset, ppm }) => `${role} ${asset[0]} ${ppm}`);
    expect(of({ agent: key(90) })).toEqual(['knowledge 41 175000', 'agent 90 825000']);
    expect(of({ agent: key(90), model: key(91), prompt: key(92) })).toEqual([
      'knowledge 41 175000',
      'agent 90 375000',
      'model 91 410000',
      'prompt 92 40000',
    ]);
  });

  test('KNOW-150: what the model earns is divided among its adapters as declared, the rest is the base', () => {
    const answer = 'A voucher is a signed promise of the payer, said the model by itself.';
    const written = attributeWritten(answer, [
      cited(1, 'A voucher is a signed promise of the payer.', 1, 41),
    ]);
    expect(written.rule).toBe('spans/1');
    expect(written.residualPpm).toBeGreaterThan(0);
    const split = { knowledge: 500_000, operator: 200_000, model: 300_000, prompt: 0 };
    const adapters = [
      { asset: key(70), ppm: 300_000 },
      { asset: key(71), ppm: 200_000 },
    ];
    const shares = roleShares(split, written, { agent: key(90), model: key(91), adapters });
    const of = (asset: number) => shares.find((share) => share.asset[0] === asset)?.ppm ?? 0;
    const modelled = 300_000 + Math.floor((500_000 * written.residualPpm) / 1_000_000);
    expect(Math.abs(of(70) - 0.3 * modelled)).toBeLessThan(2);
    expect(Math.abs(of(71) - 0.2 * modelled)).toBeLessThan(2);
    expect(Math.abs(of(91) - 0.5 * modelled)).toBeLessThan(2);
    expect(shares.reduce((sum, { ppm }) => sum + ppm, 0)).toBe(1_000_000);
    expect(() =>
      roleShares(split, written, { agent: key(90), adapters: [{ asset: key(70), ppm: 1_000_001 }] }),
    ).toThrow('adapters');
  });

  test('KNOW-32: shares fit a receipt, sum exactly and are never zero', () => {
    const part = fc.integer({ min: 0, max: 1_000_000 });
    fc.assert(
      fc.property(fc.tuple(part, part, part), fc.integer({ min: 0, max: 64 }), ([a, b, c], count) => {
        const cuts = [a, b, c].sort((x, y) => x - y);
        const [x = 0, y = 0, z = 0] = cuts;
        const split = { knowledge: x, operator: y - x, model: z - y, prompt: 1_000_000 - z };
        const passages = Array.from({ length: count }, (_, i) =>
          cited(i, `voucher text${i} more`, i, 100 + i),
        );
        const shares = roleShares(split, attribute(coverage('voucher', passages)), {
          agent: key(255),
          model: key(254),
        });
        expect(shares.reduce((sum, { ppm }) => sum + ppm, 0)).toBe(1_000_000);
        expect(shares.every(({ ppm }) => ppm > 0)).toBe(true);
        expect(shares.length).toBeLessThanOrEqual(64);
      }),
      { numRuns: 50 },
    );
  });
});
