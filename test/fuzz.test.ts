/** A short run of every fuzzing target with a fixed seed; `npm run fuzz` runs them for as long as one likes. */
import { expect, it } from 'vitest';
import { randomOf } from './fuzz/random.ts';
import { changedRecord } from './fuzz/records.ts';
import { describeFailure, inputOf, runTarget } from './fuzz/runner.ts';
import { Broken, type Target } from './fuzz/target.ts';
import { TARGETS } from './fuzz/targets.ts';

const SEED = 1;
const COUNT = 100;

it.each(TARGETS)('$name answers every input', async ({ create, shortCount = COUNT }) => {
  const target = await create();
  try {
    const { failure, accepted } = await runTarget(target, { seed: SEED, more: (i) => i < shortCount });
    expect(failure && describeFailure(failure)).toBeUndefined();
    // Some inputs are sound, or the target would not be reached at all.
    expect(accepted).toBeGreaterThan(0);
  } finally {
    await target.stop?.();
  }
});

// What once broke, by how it was found: nesting beyond the YAML parser's stack, a name that took seconds to decode.
const ONCE_BROKEN = [
  { name: 'recipe', seed: 7, iteration: 92 },
  { name: 'address', seed: 7, iteration: 252 },
];

it.each(ONCE_BROKEN)('$name answers what it once broke on', async ({ name, seed, iteration }) => {
  const target = await TARGETS.find((maker) => maker.name === name)?.create();
  if (target === undefined) throw new TypeError('no such target');
  const { failure, accepted } = await runTarget(target, {
    seed,
    from: iteration,
    more: (i) => i === iteration,
  });
  expect(failure && describeFailure(failure)).toBeUndefined();
  expect(accepted).toBe(0);
});

const weak: Target = {
  name: 'weak',
  sizeBytesMax: 1_000,
  corpus: [Uint8Array.of(0x83, 1, 2, 0x42, 3, 4)],
  bend: changedRecord,
  take(input) {
    if (input.includes(0xff)) throw new TypeError('a defect');
    if (input.length > 500) throw new Broken('too much');
  },
};

it('finds defects, and the same ones again from what it prints', async () => {
  const found = await runTarget(weak, { seed: 5, more: (i) => i < 10_000 });
  expect(found.failure?.reason).toMatch(/a defect|too much/);
  const { iteration = -1, input } = found.failure ?? {};
  expect(inputOf(weak, 5, iteration)).toEqual(input);
  const again = await runTarget(weak, { seed: 5, from: iteration, more: (i) => i <= iteration });
  expect(again.failure).toMatchObject({ iteration, input });
  expect(randomOf(Uint8Array.of(1)).below(2 ** 30)).toBe(randomOf(Uint8Array.of(1)).below(2 ** 30));
});
