import { mkdir, readFile, writeFile } from 'node:fs/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { commitmentText, commitPath } from '../../src/daemon/content.ts';
import {
  dropWish,
  findAssets,
  keepWish,
  keptWish,
  parentAssets,
  wishPath,
} from '../../src/daemon/merge-assets.ts';
import { mergeParts } from '../../src/daemon/merge-parts.ts';
import {
  checkMerge,
  demandPossible,
  explainClaim,
  type MergeWish,
  mergedModels,
  mergeOf,
  performMerge,
  placesOf,
  prepareMerge,
  stagesOf,
} from '../../src/daemon/merging.ts';
import { TIES, useModels } from './models.ts';

const models = useModels();
const { signal } = new AbortController();
const MEANS = { workers: 1, memoryBytes: 64 * 2 ** 20 };
const PPM = 1_000_000;

async function wishFor(output: string, recipe: string, more: Partial<MergeWish> = {}): Promise<MergeWish> {
  const path = models.path(`${output}.yaml`);
  await writeFile(path, recipe);
  const plan = { directory: models.path() };
  return { recipe: path, output: models.path(output), resume: false, ...MEANS, plan, ...more };
}

async function make(output: string): Promise<string> {
  const prepared = await prepareMerge(await wishFor(output, TIES), systemClock);
  const plan = demandPossible(prepared);
  if (prepared.forecast === undefined) throw new Error('no forecast');
  const of = { plan, forecast: prepared.forecast };
  await performMerge(of, { output: models.path(output), signal, onProgress: () => {} }, systemClock);
  return models.path(output);
}

describe('MRG-30: what goes on to parents', () => {
  it('is their shares as they stand when nothing is kept and no licence asks for more', () => {
    const shares = [560_721, 439_279, 0];
    const claims = shares.map((share, i) => ({ share, least: i * 1000 * (i < 2 ? 1 : 0) }));
    expect(mergeParts(claims, 0)).toEqual(shares);
    expect(mergeParts([{ share: PPM, least: 0 }], 100_000)).toEqual([900_000]);
  });

  it('is what a licence asks for where that is more, and the others pay for it in proportion', () => {
    const claims = [
      { share: 600_000, least: 0 },
      { share: 400_000, least: 0 },
      { share: 0, least: 50_000 },
    ];
    expect(mergeParts(claims, 0)).toEqual([570_000, 380_000, 50_000]);
    const greedy = [
      { share: 0, least: 600_000 },
      { share: PPM, least: 500_000 },
    ];
    expect(() => mergeParts(greedy, 0)).toThrow(expect.objectContaining({ code: 'merge-refused' }));
  });

  it('sums to what is not kept, gives everybody what is asked, and gives more for more', () => {
    const claim = fc.record({ share: fc.nat(PPM), least: fc.nat(60_000) });
    fc.assert(
      fc.property(fc.array(claim, { minLength: 1, maxLength: 16 }), fc.nat(40_000), (claims, keep) => {
        const parts = mergeParts(claims, keep);
        const sum = parts.reduce((total, part) => total + part, 0);
        const anyShare = claims.some(({ share }) => share > 0);
        if (anyShare && claims.some(({ share, least }, i) => share > 0 && (parts[i] ?? 0) > least)) {
          expect(sum).toBe(PPM - keep);
        }
        expect(sum).toBeLessThanOrEqual(PPM - keep);
        claims.forEach(({ share, least }, i) => {
          expect(parts[i]).toBeGreaterThanOrEqual(least);
          claims.forEach((other, j) => {
            if (share > other.share && least >= other.least) {
              expect(parts[i]).toBeGreaterThanOrEqual((parts[j] ?? 0) - 1);
            }
          });
        });
      }),
    );
  });
});

describe('planning a merge for somebody', () => {
  it('forecasts memory, disk, time and shares without a byte of data read or written', async () => {
    const { plan, forecast, problems, there } = await prepareMerge(await wishFor('dry', TIES), systemClock);
    expect([problems, there]).toEqual([[], 'nothing']);
    const written = plan?.files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    expect(forecast).toMatchObject({ workers: 1, memoryBytes: MEANS.memoryBytes, diskBytes: written });
    expect(forecast?.seconds).toBeGreaterThan(0);
    const shares = new Map(forecast?.models.map(({ name, share }) => [name, share]));
    expect([...shares.values()].reduce((sum, ppm) => sum + ppm, 0)).toBe(PPM);
    expect(shares.get('a')).toBeGreaterThan(shares.get('b') ?? PPM);
  });

  it('MRG-47, MRG-48: forecasts stages with the rest, and finds what they left', async () => {
    const stages = { directory: models.path(), stagesDirectory: models.path('staged.stages') };
    const recipe = `name: tied\n${TIES.trim()}\n---\nmerge_method: passthrough\nmodels: [{model: tied}]\n`;
    const wish = await wishFor('staged', recipe, { plan: stages });
    const { plan, forecast, problems, there } = await prepareMerge(wish, systemClock);
    expect([problems, there]).toEqual([[], 'nothing']);
    if (!plan || !forecast) throw new Error('no plan');
    expect(stagesOf(plan).map(({ name }) => name)).toEqual(['tied']);
    expect(forecast.diskBytes).toBe(2 * forecast.stageBytes);
    expect(forecast.models.map(({ name, path }) => [name, path])).toEqual(
      ['base', 'a', 'b'].map((name) => [name, models.path(name)]),
    );
    const cancelled = new AbortController();
    const onProgress = ({ stage }: { readonly stage?: string }): void => {
      if (stage === undefined) cancelled.abort();
    };
    const options = { output: models.path('staged'), signal: cancelled.signal, onProgress };
    await expect(performMerge({ plan, forecast }, options, systemClock)).rejects.toThrow(/cancelled/);
    expect((await prepareMerge(wish, systemClock)).problems.join()).toMatch(/holds a part of this merge/);
    const again = await prepareMerge({ ...wish, resume: true }, systemClock);
    expect([again.problems, again.there]).toEqual([[], 'part']);
    const whole = { output: models.path('staged'), signal, onProgress: () => {} };
    const manifest = await performMerge({ plan: demandPossible(again), forecast }, whole, systemClock);
    expect(mergedModels(manifest).map(({ name }) => name)).toEqual(['base', 'a', 'b']);
    expect((await mergeOf(models.path('staged'))).sharesHold).toBe(true);
    expect(placesOf(manifest, [`a=${models.path('a')}`])).toEqual({ a: models.path('a') });
  });

  it('says everything that is wrong at once, with the nearest right name', async () => {
    await mkdir(models.path('medicine'), { recursive: true });
    const recipe = TIES.replace('ties', 'tiess').replace('model: a', 'model: medicin');
    const { problems, plan } = await prepareMerge(await wishFor('wrong', recipe), systemClock);
    expect(plan).toBeUndefined();
    expect(problems).toEqual([
      'unknown method tiess; did you mean ties?',
      expect.stringMatching(/^medicin: file-missing .*; did you mean medicine\?$/),
    ]);
    const tight = await wishFor('tight', TIES, { memoryBytes: 1000 });
    await mkdir(tight.output);
    const prepared = await prepareMerge(tight, systemClock);
    expect(prepared.problems).toHaveLength(2);
    expect(() => demandPossible(prepared)).toThrow(expect.objectContaining({ code: 'merge-refused' }));
  });

  it('goes on only where that is wanted, and takes what is whole as it is', async () => {
    const output = await make('whole');
    const again = await prepareMerge(await wishFor('whole', TIES), systemClock);
    expect(again.problems).toEqual([expect.stringContaining('holds this merge already')]);
    const taken = await prepareMerge(await wishFor('whole', TIES, { resume: true }), systemClock);
    expect(taken).toMatchObject({ problems: [], there: 'all' });
    const other = TIES.replace('0.6', '0.7');
    const wrong = await prepareMerge(await wishFor('whole', other, { resume: true }), systemClock);
    expect(wrong.problems).toEqual([`${output} exists and is not this merge; choose another --out`]);
    await mkdir(models.path('foreign.partial'));
    const foreign = await prepareMerge(await wishFor('foreign', TIES, { resume: true }), systemClock);
    expect(foreign.problems).toEqual([expect.stringContaining('holds something else')]);
  });
});

describe('MRG-21: checking a merge for somebody', () => {
  it('finds its models by their names, does a sample again, and sees a changed bit', async () => {
    const output = await make('checked');
    const wish = { parents: [], directory: undefined, sample: undefined, tensors: [], ...MEANS, signal };
    expect(await checkMerge(output, wish)).toMatchObject({ repeated: 0, problems: [] });
    const parents = [models.path('a'), `base=${models.path('base')}`, models.path('b')];
    const whole = await checkMerge(output, { ...wish, parents });
    expect(whole.problems).toEqual([]);
    expect(whole.repeated).toBe(whole.manifest.tensors.length);
    const sampled = await checkMerge(output, { ...wish, parents, sample: 3 });
    expect([sampled.checked, sampled.repeated, sampled.problems]).toEqual([3, 3, []]);
    await expect(checkMerge(output, { ...wish, tensors: ['model.norm.weigth'] })).rejects.toMatchObject({
      facts: { reason: expect.stringContaining('did you mean model.norm.weight?') },
    });
    const { manifest, sharesHold } = await mergeOf(output);
    expect(sharesHold).toBe(true);
    expect(() => placesOf(manifest, ['basis=x'])).toThrow(/./);
    const swapped = [`a=${models.path('b')}`, `b=${models.path('a')}`, models.path('base')];
    const { problems } = await checkMerge(output, { ...wish, parents: swapped, sample: 2 });
    expect(problems.join()).toContain('other inputs');
    const bytes = await readFile(models.path('checked', 'model.safetensors'));
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    await writeFile(models.path('checked', 'model.safetensors'), bytes);
    expect((await checkMerge(output, wish)).problems).toHaveLength(1);
  });

  it('MRG-22: explains by a base, or by the first parent in its place', async () => {
    const output = await make('claimed');
    const parents = [models.path('a'), models.path('b')];
    const options = { ...MEANS, signal };
    const based = await explainClaim({ output, parents, base: models.path('base') }, options);
    expect(based.weights).toHaveLength(2);
    const free = await explainClaim({ output, parents, base: undefined }, options);
    expect(free.base).toBe(parents[0]);
    expect((free.weights[0] ?? 0) + (free.weights[1] ?? 0)).toBeCloseTo(1, 12);
    const alone = explainClaim({ output, parents: parents.slice(1), base: undefined }, options);
    await expect(alone).rejects.toMatchObject({ code: 'usage' });
  });
});

describe('MRG-30: the assets of models', () => {
  it('are those that are named, with the nearest name for a wrong one', () => {
    const named = [{ name: 'law' }, { name: 'medicine' }];
    expect(parentAssets(['law=3f2a', 'medicine=none'], named).get('medicine')).toBe('none');
    for (const text of ['medicin=1', 'law']) {
      expect(() => parentAssets([text], named)).toThrow(expect.objectContaining({ code: 'usage' }));
    }
  });

  it('are found by the content of the folder or its only file, and others are not even read', async () => {
    const content = async (...path: string[]): Promise<string> =>
      commitmentText(await commitPath(models.path(...path), { signal }));
    const known = [
      { asset: 'aa', name: 'x', commitment: await content('a') },
      { asset: 'bb', name: 'y', commitment: await content('b', 'model.safetensors') },
      { asset: 'cc', name: 'z', commitment: `other:${'0'.repeat(64)}:1` },
    ];
    const asked: number[] = [];
    const found = await findAssets(
      ['a', 'b', 'c', 'gone'].map((name) => ({ name, path: models.path(name) })),
      {
        named: new Map([['c', 'named']]),
        signal,
        async ask(sizes) {
          asked.push(...sizes);
          return known.filter(({ commitment }) => sizes.includes(Number(commitment.split(':')[2])));
        },
      },
    );
    expect([...found]).toEqual([
      ['c', 'named'],
      ['a', 'aa'],
      ['b', 'bb'],
    ]);
    expect(asked.length).toBeLessThanOrEqual(4);
  });

  it('are kept beside an output until it is registered', async () => {
    const output = models.path('later');
    expect(await keptWish(output)).toBeUndefined();
    const wish = { name: 'later', licence: 'open', keep: 5, assets: { a: 'aa' } };
    await keepWish(output, wish);
    expect(await keptWish(output)).toEqual(wish);
    for (const damaged of ['{', '{}']) {
      await writeFile(wishPath(output), damaged);
      await expect(keptWish(output)).rejects.toMatchObject({ code: 'bundle-invalid' });
    }
    await dropWish(output);
    expect(await keptWish(output)).toBeUndefined();
  });
});
