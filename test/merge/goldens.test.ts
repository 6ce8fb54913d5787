import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { parseRecipe } from '../../src/merge/recipe.ts';
import { runMerge } from '../../src/merge/run.ts';
import { readTensor } from './gguf-models.ts';
import { GOLDEN_MODELS, GOLDEN_RECIPES, makeGoldenModels } from './golden-models.ts';
import { plan } from './models.ts';
import { runCase } from './support.ts';

interface Golden {
  readonly made: Readonly<Record<string, string>>;
  readonly models: unknown;
  readonly recipes: unknown;
  readonly drawn: Readonly<
    Record<string, { density: number; epsilon: number; kept: readonly number[]; scale: number }>
  >;
  readonly results: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

let root = '';
let golden: Golden;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'sahara-goldens-'));
  golden = JSON.parse(await readFile(new URL('./goldens/mergekit.json', import.meta.url), 'utf8'));
  await makeGoldenModels(root);
});
afterAll(() => rm(root, { recursive: true, force: true }));

function numbers(base64: string): Float64Array {
  const bytes = Buffer.from(base64, 'base64');
  return Float64Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(4 * i));
}

// Weights are below 0.1, and mergekit rounds after each step.
const ROUNDING = 5e-8;

/** Where mergekit is not followed unless a recipe asks for it. */
const DIFFERENT: Readonly<Record<string, 'all' | 'some'>> = {
  // Without an outlier in a tensor, its whole delta is dropped.
  breadcrumbs_few: 'all',
  // Quartiles are the ranks below.
  arcee_fusion: 'some',
};

describe('MRG-4, MRG-39: what mergekit makes of the same models', () => {
  it('was made of these models and recipes', () => {
    expect(golden.made).toMatchObject({ mergekit: '0.1.4' });
    expect([golden.models, golden.recipes]).toEqual([GOLDEN_MODELS, GOLDEN_RECIPES]);
    expect(Object.keys(golden.results)).toEqual(Object.keys(GOLDEN_RECIPES));
  });

  it.each(Object.entries(GOLDEN_RECIPES))('%s', async (name, recipe) => {
    const found = await differences(name, recipe);
    const expected = DIFFERENT[name];
    if (expected === undefined) expect(found).toEqual([]);
    else {
      expect(found.length).toBeGreaterThan(expected === 'all' ? 20 : 0);
      expect(await differences(name, `${recipe}compat: mergekit\n`)).toEqual([]);
    }
  });

  it.each(['dare_linear', 'della_linear'])(
    'MRG-10: %s keeps and scales as mergekit does, over many draws',
    (method) => {
      const { density = 0, epsilon = 0, kept = [], scale = 0 } = golden.drawn[method] ?? {};
      const delta = Float64Array.from(
        { length: ROWS * COLUMNS },
        (_, i) => (((i * 7919) % 4096) - 2047.5) / 4096,
      );
      const settings = { weight: [1], density: [density], epsilon: [epsilon], lambda: 1, normalize: false };
      const [counts, scales] = [new Array<number>(EIGHTHS).fill(0), [] as number[]];
      const eighths = eighthsOf(delta);
      for (let seed = 0; seed < DRAWS; seed++) {
        const { merged } = runCase({
          method,
          settings: { ...settings, rescale: true, rescale_by: 'l1' },
          models: [delta],
          base: new Float64Array(delta.length),
          shape: [ROWS, COLUMNS],
          seed: String(seed),
        });
        const there = [...merged.keys()].filter((i) => merged[i] !== 0);
        for (const i of there) counts[eighths[i] ?? 0] = (counts[eighths[i] ?? 0] ?? 0) + 1;
        scales.push((merged[there[0] ?? 0] ?? 0) / (delta[there[0] ?? 0] ?? 1));
      }
      const perEighth = (ROWS * COLUMNS * DRAWS) / EIGHTHS;
      // Five deviations of the difference of two binomial shares of 51,200 draws each.
      counts.forEach((count, i) => {
        expect(Math.abs(count / perEighth - (kept[i] ?? 0))).toBeLessThan(5 * Math.sqrt(0.5 / perEighth));
      });
      expect(scales.reduce((sum, each) => sum + each, 0) / DRAWS / scale).toBeCloseTo(1, 2);
    },
  );

  it('warns where it cannot be like mergekit, and refuses other words', async () => {
    const dare = GOLDEN_RECIPES.ties?.replace('ties', 'dare_ties').replace('float32', 'bfloat16') ?? '';
    expect((await plan(root, `${dare}compat: mergekit\n`)).warnings).toEqual([
      'dare_ties keeps as many elements as mergekit, not the same',
      'mergekit computes in its dtype, this in float32 whatever that is',
      'compat has no effect on dare_ties',
    ]);
    expect(() => parseRecipe(`${dare}compat: other\n`)).toThrow(/compat: other is not mergekit/);
  });
});

const [ROWS, COLUMNS, DRAWS, EIGHTHS] = [32, 64, 200, 8];

// For each element, the eighth of its row that it is in by magnitude.
function eighthsOf(delta: Float64Array): readonly number[] {
  const out = new Array<number>(delta.length).fill(0);
  for (let start = 0; start < delta.length; start += COLUMNS) {
    const order = [...Array(COLUMNS).keys()].sort(
      (a, b) => Math.abs(delta[start + a] ?? 0) - Math.abs(delta[start + b] ?? 0),
    );
    order.forEach((i, rank) => {
      out[start + i] = Math.floor((rank * EIGHTHS) / COLUMNS);
    });
  }
  return out;
}

// Tensors that come out otherwise by more than rounding in f32 explains.
async function differences(name: string, recipe: string): Promise<readonly string[]> {
  const output = await mkdtemp(join(root, `${name}-`));
  await rm(output, { recursive: true });
  const planned = await plan(root, recipe);
  await runMerge(planned, { output }, { clock: systemClock });
  const expected = golden.results[name] ?? {};
  expect(planned.tasks.map((task) => task.name).sort()).toEqual(Object.keys(expected).sort());
  const compared = Object.entries(expected).map(async ([tensor, base64]) => {
    const wanted = numbers(base64);
    const made = await readTensor(output, tensor);
    expect(made).toHaveLength(wanted.length);
    const worst = made.reduce((most, value, i) => Math.max(most, Math.abs(value - (wanted[i] ?? 0))), 0);
    return worst > ROUNDING ? [tensor] : [];
  });
  return (await Promise.all(compared)).flat();
}
