import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeModel } from '../../examples/merge/make-models.ts';
import { systemClock } from '../../src/base/clock.ts';
import type { MergeManifest } from '../../src/merge/manifest.ts';
import { runMerge } from '../../src/merge/run.ts';
import { tokenizerTexts } from '../../src/merge/tokenizers/files.ts';
import { readVocabulary } from '../../src/merge/tokenizers/vocabulary.ts';
import { verifyMerge } from '../../src/merge/verify.ts';
import { readTensor } from './gguf-models.ts';
import {
  GOLDEN_VOCABULARIES,
  makeVocabularyModels,
  VOCABULARY_RECIPES,
  writeTokenizer,
} from './golden-vocabularies.ts';
import { plan, problemsOf, taskOf } from './models.ts';

interface Golden {
  readonly made: Readonly<Record<string, string>>;
  readonly vocabularies: unknown;
  readonly recipes: unknown;
  readonly failed: Readonly<Record<string, string>>;
  readonly tokens: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly results: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

let root = '';
let golden: Golden;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'sahara-vocabularies-'));
  golden = JSON.parse(await readFile(new URL('./goldens/vocabularies.json', import.meta.url), 'utf8'));
  await makeVocabularyModels(root);
});
afterAll(() => rm(root, { recursive: true, force: true }));

const COLUMNS = 8;
const SMALL = { layers: 1, hidden: COLUMNS, intermediate: 12, dtype: 'F32' } as const;
const EMBEDDINGS = ['model.embed_tokens.weight', 'lm_head.weight'];
// Weights are below 0.1, and mergekit rounds after each step.
const ROUNDING = 5e-8;

async function merged(recipe: string, name: string): Promise<{ output: string; manifest: MergeManifest }> {
  const output = join(root, 'out', name);
  const manifest = await runMerge(await plan(root, recipe), { output }, { clock: systemClock });
  return { output, manifest };
}

async function tokensOf(directory: string): Promise<ReadonlyMap<string, number>> {
  return (await readVocabulary({ directory }))?.ids ?? new Map();
}

async function rowOf(directory: string, { tensor, row }: { tensor: string; row: number }): Promise<number[]> {
  return [...(await readTensor(directory, tensor)).slice(row * COLUMNS, (row + 1) * COLUMNS)];
}

function numbers(base64: string | undefined): Float64Array {
  const bytes = Buffer.from(base64 ?? '', 'base64');
  return Float64Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(4 * i));
}

describe('MRG-43, MRG-44: vocabularies are joined as mergekit joins them', () => {
  it('was made of these models and recipes; what mergekit fails at is known', () => {
    expect(golden.made).toMatchObject({ mergekit: '0.1.4' });
    expect([golden.vocabularies, golden.recipes]).toEqual([GOLDEN_VOCABULARIES, VOCABULARY_RECIPES]);
    expect(Object.keys(golden.failed).sort()).toEqual(['stripped', 'zero']);
  });

  it.each(Object.keys(VOCABULARY_RECIPES))('%s', async (name) => {
    const { output } = await merged(VOCABULARY_RECIPES[name] ?? '', name);
    const ours = await tokensOf(output);
    const { vocab_size } = JSON.parse(await readFile(join(output, 'config.json'), 'utf8'));
    const rows = (await readTensor(output, 'lm_head.weight')).length / COLUMNS;
    expect(rows).toBe(vocab_size);
    expect(rows).toBeGreaterThan(Math.max(...ours.values()));
    if (Object.hasOwn(golden.failed, name)) return;
    const theirs = golden.tokens[name] ?? {};
    expect([...ours.keys()].sort()).toEqual(Object.keys(theirs).sort());
    const results = golden.results[name] ?? {};
    for (const [tensor, base64] of Object.entries(results)) {
      const wanted = numbers(base64);
      const made = await readTensor(output, tensor);
      expect(made).toHaveLength(wanted.length);
      const perToken = EMBEDDINGS.includes(tensor);
      // New tokens have other numbers in mergekit every time.
      const pairs: (readonly [number, number])[] = perToken
        ? [...ours].flatMap(([token, row]) =>
            [...Array(COLUMNS).keys()].map((i) => {
              return [row * COLUMNS + i, (theirs[token] ?? -1) * COLUMNS + i] as const;
            }),
          )
        : [...wanted.keys()].map((i) => [i, i] as const);
      if (perToken) for (let i = ours.size * COLUMNS; i < wanted.length; i++) pairs.push([i, i]);
      const worst = pairs.reduce(
        (most, [a, b]) => Math.max(most, Math.abs((made[a] ?? 0) - (wanted[b] ?? Number.NaN))),
        0,
      );
      expect([tensor, worst]).toEqual([tensor, expect.closeTo(0, -Math.log10(2 * ROUNDING))]);
    }
  });
});

describe('MRG-45: what rows contribute counts for those whose rows they are', () => {
  it('with every parent in the sum: rows that only one has are its own, whichever weights they come under', async () => {
    const recipe = VOCABULARY_RECIPES.union ?? '';
    const { output, manifest } = await merged(recipe, 'credited');
    const tensor = manifest.tensors.find(({ name }) => name === 'model.embed_tokens.weight');
    const names = manifest.parents.map(({ model }) => manifest.models[model]?.name ?? '');
    expect(names).toEqual(['base', 'a', 'b']);
    expect(tensor?.gram).toEqual(
      (await expectedGram(output, names)).map((value) => expect.closeTo(value, 7)),
    );
  });

  it('with deltas: a row that the base lacks is a contribution of its owner, and no part of the base', async () => {
    const { output, manifest } = await merged(VOCABULARY_RECIPES.union_deltas ?? '', 'credited-deltas');
    const name = 'model.embed_tokens.weight';
    const tensor = manifest.tensors.find((each) => each.name === name);
    const [a = new Float64Array(), base = new Float64Array()] = await Promise.all(
      ['a', 'base'].map((model) => readTensor(join(root, model), name)),
    );
    const square = (values: Iterable<number>): number =>
      [...values].reduce((sum, value) => sum + value ** 2, 0);
    expect(tensor?.baseNorm).toBeCloseTo(square(base), 7);
    // Only a has them: <tool> and what it changed of the rows that the base has too.
    const ours = await tokensOf(output);
    const tool = ours.get('<tool>') ?? -1;
    expect(await rowOf(output, { tensor: name, row: tool })).toEqual([...a.slice(8 * COLUMNS, 9 * COLUMNS)]);
    const shared = ['a', 'b', 'c', 'd', 'e', '<s>', '</s>'].flatMap((token) => {
      const [mine, its] = [token, token].map((each, i) => {
        const { plain = [], added = {} } = GOLDEN_VOCABULARIES[i === 0 ? 'a' : 'base'] ?? {};
        return plain.includes(each) ? plain.indexOf(each) : (added[each]?.id ?? 0);
      });
      return [...Array(COLUMNS).keys()].map((i) => {
        return 0.6 * ((a[(mine ?? 0) * COLUMNS + i] ?? 0) - (base[(its ?? 0) * COLUMNS + i] ?? 0));
      });
    });
    // x and y, which both have, are shared half and half: they add a quarter of their mean's square to each.
    const halves = await Promise.all(['x', 'y'].map((token) => ownRows(output, { token, name })));
    const expected =
      square(shared) +
      square(a.slice(8 * COLUMNS, 9 * COLUMNS)) +
      halves.reduce((sum, each) => sum + each, 0);
    expect(tensor?.gram[0]).toBeCloseTo(expected, 7);
  });

  it('is verified, with the files of the tokenizer', async () => {
    const { output } = await merged(VOCABULARY_RECIPES.tokens ?? '', 'verified');
    const again = { directory: root, workers: 1 };
    expect(await verifyMerge(output, again)).toMatchObject({ problems: [], repeated: 12 });
    await writeFile(join(output, 'tokenizer.json'), '{}');
    expect((await verifyMerge(output, again)).problems).toEqual(['tokenizer.json is another file']);
  });

  // In a delta merge, c = w (own - mean) and half of the mean, which stands for the base's row.
  async function ownRows(output: string, { token, name }: { token: string; name: string }): Promise<number> {
    const [own, other] = await Promise.all(
      ['a', 'b'].map(async (model) => {
        const row = (await tokensOf(join(root, model))).get(token) ?? -1;
        return rowOf(join(root, model), { tensor: name, row });
      }),
    );
    expect((await tokensOf(output)).has(token)).toBe(true);
    return (own ?? []).reduce((sum, value, i) => {
      const mean = (value + (other?.[i] ?? 0)) / 2;
      return sum + (0.6 * (value - mean) + mean / 2) ** 2;
    }, 0);
  }

  async function expectedGram(output: string, names: readonly string[]): Promise<number[]> {
    const weights = [0.3, 0.4, 0.5].map((weight) => weight / 1.2);
    const [stored, ids] = [
      await Promise.all(names.map((name) => readTensor(join(root, name), 'model.embed_tokens.weight'))),
      await Promise.all(names.map((name) => tokensOf(join(root, name)))),
    ];
    const sums = new Array<number>(9).fill(0);
    for (const token of (await tokensOf(output)).keys()) {
      const rows = ids.map((each) => each.get(token));
      const owners = [0, 1, 2].filter((i) => (rows[i] ?? Infinity) * COLUMNS < (stored[i]?.length ?? 0));
      for (let column = 0; column < COLUMNS; column++) {
        const own = [0, 1, 2].map((i) => stored[i]?.[(rows[i] ?? 0) * COLUMNS + column] ?? 0);
        const mean = owners.reduce((sum, i) => sum + (own[i] ?? 0), 0) / owners.length;
        const credited = [0, 0, 0];
        for (const i of [0, 1, 2]) {
          const part = (weights[i] ?? 0) * (owners.includes(i) ? (own[i] ?? 0) : mean);
          const to = owners.includes(i) ? [i] : owners;
          for (const each of to) credited[each] = (credited[each] ?? 0) + part / to.length;
        }
        sums.forEach((sum, k) => {
          sums[k] = sum + (credited[Math.floor(k / 3)] ?? 0) * (credited[k % 3] ?? 0);
        });
      }
    }
    return sums;
  }
});

describe('MRG-5, MRG-43: joined rows', () => {
  it('do not depend on workers or memory, and go on where they were, also where tiles cut rows', async () => {
    const tokens = (from: number): readonly string[] =>
      [...Array(1500).keys()].map((i) => `t${(i * 7 + from) % 2000}`);
    const shape = { layers: 1, hidden: 72, intermediate: 72, vocabulary: 1500, dtype: 'BF16' } as const;
    for (const [i, name] of ['big-a', 'big-b', 'big-c'].entries()) {
      await makeModel(join(root, name), shape, { base: 1, tune: 20 + i });
      await writeTokenizer(join(root, name), { plain: [...new Set(tokens(i * 3))], added: {}, rows: 1500 });
    }
    const recipe = `
merge_method: dare_ties
base_model: big-a
models: [{model: big-b, parameters: {weight: 0.5, density: 0.6}}, {model: big-c, parameters: {weight: 0.5, density: 0.6}}]
tokenizer: {source: union, pad_to_multiple_of: 64}
`;
    const planned = await plan(root, recipe);
    expect(taskOf(planned.tasks, 'lm_head.weight').shape[0]).toBe(2048);
    const hashes: string[] = [];
    for (const [i, workers] of [1, 2].entries()) {
      const means = { workers, memoryBytes: i === 0 ? 16e6 : 256e6 };
      const output = join(root, `independent-${i}`);
      hashes.push((await runMerge(planned, { output, ...means }, { clock: systemClock })).contentHash);
    }
    expect(hashes[1]).toBe(hashes[0]);
  });
});

describe('MRG-43: what cannot be joined is told at once', () => {
  const wrong: readonly (readonly [string, string])[] = [
    [
      'tokenizer_source: nowhere',
      'tokenizer_source: nowhere is not base, union, one of the models or a folder with a tokenizer',
    ],
    [
      'tokenizer: {tokens: {x: {source: aa}}}',
      'tokenizer.tokens.x: aa is not one of the models; did you mean a?',
    ],
    ['tokenizer: {tokens: {f: {source: a}}}', 'tokenizer.tokens.f: a has no token "f"'],
    [
      'tokenizer: {tokens: {n: {source: {kind: model_token, model: a, token: q}}}}',
      'tokenizer.tokens.n: a has no token "q"',
    ],
    [
      'tokenizer: {tokens: {n: {source: {kind: model_token, model: a, token_id: 10}}}}',
      'tokenizer.tokens.n: a has 10 rows, none for token 10',
    ],
    [
      'tokenizer: {tokens: {n: {source: {kind: zeros}}}}',
      'tokenizer.tokens.n.source.kind: zeros is not one of model_token, zero; did you mean zero?',
    ],
    [
      'tokenizer: {tokens: {n: {source: {kind: model_token, model: a}}}}',
      'tokenizer.tokens.n.source has either token or token_id',
    ],
    [
      'tokenizer: {tokens: {n: {force: true}}}',
      'tokenizer.tokens.n.source is missing: it is a model, {kind: model_token, ...} or {kind: zero}',
    ],
    [
      'tokenizer: {tokens: {n: {source: a, forced: true}}}',
      'tokenizer.tokens.n: unknown key forced; did you mean force?',
    ],
    [
      'tokenizer: {pad_to_multiple_of: 0}',
      'tokenizer.pad_to_multiple_of is not a whole number of at least 1',
    ],
    ['tokenizer: {sauce: union}', 'tokenizer: unknown key sauce; did you mean source?'],
    ['tokenizer: base', 'tokenizer is not a mapping'],
    [
      'tokenizer: {source: base}\ntokenizer_source: base',
      'a recipe has either tokenizer_source or tokenizer',
    ],
  ];
  const recipe = (more: string): string =>
    `merge_method: linear\nmodels: [{model: a, parameters: {weight: 1}}, {model: b, parameters: {weight: 1}}]\n${more}\n`;

  it.each(wrong)('%s', async (more, reason) => {
    expect(await problemsOf(root, recipe(more))).toEqual([reason]);
  });

  it('together, also with a tokenizer that is none, or in a form that is not read', async () => {
    const all =
      'tokenizer: {tokens: {n: {source: aa}, m: {source: {kind: model_token, model: b, token_id: 99}}}}';
    const heavy = recipe(all).replace('weight: 1}', 'weight: heavy, wait: 1}');
    expect(await problemsOf(root, heavy)).toEqual([
      'unknown setting wait',
      'tokenizer.tokens.n: aa is not one of the models; did you mean a?',
      'tokenizer.tokens.m: b has 9 rows, none for token 99',
      'a: weight is heavy, not a number',
    ]);
    await makeModel(join(root, 'other'), { ...SMALL, vocabulary: 5 }, { base: 1 });
    const pair = recipe('tokenizer_source: union').replace('model: b', 'model: other');
    const { warnings, tasks } = await plan(root, pair);
    expect(warnings).toContain('other has no tokenizer: its tokens are taken to be those of a');
    expect(taskOf(tasks, 'lm_head.weight').shape).toEqual([10, 8]);
    await writeFile(join(root, 'other', 'tokenizer.model'), 'pieces');
    expect(await problemsOf(root, pair)).toEqual([
      'tokenizer: other has no tokenizer.json, the form in which vocabularies are joined',
    ]);
    await writeFile(join(root, 'other', 'tokenizer.json'), '{"model":{"vocab":{"a":-1}}}');
    expect(await problemsOf(root, pair)).toEqual(['other: tokenizer.json has a token without number']);
    // MRG-50
    await writeFile(join(root, 'other', 'tokenizer.json'), `{"model":{"vocab":{"a":${2 ** 24 - 1}}}}`);
    expect(await problemsOf(root, pair)).toEqual(['other: tokenizer.json has a token without number']);
    const wide = recipe(`tokenizer: {pad_to_multiple_of: ${2 ** 24 + 1}}`);
    expect((await problemsOf(root, wide)).join()).toContain('pad_to_multiple_of is not a whole number');
  });

  it('also with a tokenizer that is nested too deeply to be written anew', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sahara-deep-'));
    const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`;
    await writeFile(join(folder, 'tokenizer.json'), `{"model":{"vocab":{"a":0}},"deep":${deep}}`);
    const vocabulary = await readVocabulary({ directory: folder });
    if (vocabulary === undefined) throw new Error('there is a tokenizer');
    const { file, ids, added } = vocabulary;
    const joined = { file, ids, added, tokens: 1, rows: 1, unchanged: false, stripped: false };
    await expect(tokenizerTexts({ directory: folder }, joined)).rejects.toMatchObject({
      code: 'tensor-invalid',
    });
    await rm(folder, { recursive: true });
  });

  it('takes tokenizers of Unigram and WordPiece, and one that is no model of the merge', async () => {
    const unigram = {
      type: 'Unigram',
      unk_id: 0,
      vocab: [
        ['a', 0],
        ['q', -1.5],
        ['b', -2],
        ['gone', -3],
      ],
    };
    const wordpiece = { type: 'WordPiece', unk_token: 'a', vocab: { a: 1, b: 0, '##c': 2 } };
    await makeModel(join(root, 'uni'), { ...SMALL, vocabulary: 3 }, { base: 1 });
    await makeModel(join(root, 'word'), { ...SMALL, vocabulary: 3 }, { base: 1, tune: 5 });
    await writeFile(
      join(root, 'uni', 'tokenizer.json'),
      JSON.stringify({ added_tokens: [], model: unigram }),
    );
    await writeFile(
      join(root, 'word', 'tokenizer.json'),
      JSON.stringify({ added_tokens: [], model: wordpiece }),
    );
    const both = recipe('tokenizer_source: union')
      .replace('model: a', 'model: uni')
      .replace('model: b', 'model: word');
    const { output } = await merged(both, 'unigram');
    expect(await tokensOf(output)).toEqual(
      new Map([
        ['a', 0],
        ['q', 1],
        ['b', 2],
        ['##c', 3],
      ]),
    );
    const written = JSON.parse(await readFile(join(output, 'tokenizer.json'), 'utf8'));
    expect(written.model.vocab).toEqual(unigram.vocab.slice(0, 3));
    const elsewhere = await plan(root, both.replace('union', 'model:a'));
    expect(taskOf(elsewhere.tasks, 'lm_head.weight').shape).toEqual([10, 8]);
    expect(elsewhere.warnings).toContain(
      'lm_head.weight: 8 tokens are in none of its models, their rows are zero',
    );
  });

  it('gives ids in configurations the numbers of the tokenizer that the output has', async () => {
    const config = JSON.parse(await readFile(join(root, 'base', 'config.json'), 'utf8'));
    const ids = { bos_token_id: 6, eos_token_id: [7, 0], pad_token_id: 5, sep_token_id: null };
    await writeFile(join(root, 'base', 'config.json'), JSON.stringify({ ...config, ...ids }));
    const of = async (source: string): Promise<unknown> => {
      const more = `base_model: base\ntokenizer_source: ${source}`;
      const planned = await plan(root, recipe(more).replace('model: b', 'model: base'));
      const { bos_token_id, eos_token_id, pad_token_id, sep_token_id } = planned.config ?? {};
      return { bos_token_id, eos_token_id, pad_token_id, sep_token_id };
    };
    expect(await of('union')).toEqual(ids);
    const moved = { bos_token_id: 6, eos_token_id: [7, 1], sep_token_id: null };
    expect(await of('a')).toEqual({ ...moved, pad_token_id: undefined });
    await writeFile(join(root, 'base', 'config.json'), JSON.stringify(config));
  });
});
