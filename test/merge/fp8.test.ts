import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { concat } from '../../src/base/bytes.ts';
import { systemClock } from '../../src/base/clock.ts';
import { extractAdapter } from '../../src/merge/adapters/extract.ts';
import { openCheckpoint } from '../../src/merge/checkpoint.ts';
import { explainMerge } from '../../src/merge/explain.ts';
import { createKernels } from '../../src/merge/kernels.ts';
import { runMerge } from '../../src/merge/run.ts';
import { layOut } from '../../src/merge/safetensors.ts';
import { verifyMerge } from '../../src/merge/verify.ts';
import { readTensor } from './gguf-models.ts';
import { plan, problemsOf, useModels } from './models.ts';
import { createRandom, encode, f16Value } from './support.ts';

const models = useModels();
const random = createRandom(55);

/** E4M3 by its definition. */
function e4m3(bits: number): number {
  const [sign, exponent, fraction] = [bits & 0x80 ? -1 : 1, (bits >> 3) & 15, bits & 7];
  if (exponent === 15 && fraction === 7) return Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** -9 : sign * (8 + fraction) * 2 ** (exponent - 10);
}

const [ROWS, COLUMNS] = [6, 20];
const bytes = Uint8Array.from(
  { length: ROWS * COLUMNS },
  () => Math.floor(random() * 0x7f) | (random() < 0.5 ? 0x80 : 0),
);

interface Scales {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: readonly number[];
  readonly dtype?: string;
}

async function store(
  name: string,
  scales: Scales | undefined,
  config: object = {},
  weights = { bytes, shape: [ROWS, COLUMNS] },
): Promise<void> {
  await mkdir(models.path(name), { recursive: true });
  const tensors = [
    { name: 'x.weight', dtype: 'F8_E4M3', ...weights },
    ...(scales ? [{ dtype: 'F32', ...scales, bytes: encode(scales.values, scales.dtype ?? 'F32') }] : []),
  ];
  const layout = layOut(tensors, {});
  const data = layout.tensors.map(
    (entry) => tensors.find((each) => each.name === entry.name)?.bytes ?? new Uint8Array(),
  );
  await writeFile(models.path(name, 'model.safetensors'), concat(layout.bytes, ...data));
  await writeFile(models.path(name, 'config.json'), JSON.stringify(config));
}

async function widen(name: string, more = 'dtype: float32'): Promise<Float64Array> {
  const planned = await plan(
    models.path(),
    `merge_method: passthrough\nmodels: [{model: ${name}}]\n${more}\n`,
  );
  expect(planned.tasks.map((task) => task.name)).toEqual(['x.weight']);
  const output = models.path(`${name}-wide`);
  await runMerge(planned, { output }, { clock: systemClock });
  return readTensor(output, 'x.weight');
}

const BLOCKS = { quantization_config: { weight_block_size: [4, 16] } };

describe('MRG-41: FP8', () => {
  it('is widened exactly, every pattern', () => {
    const { kernels, bytes: memory, free } = createKernels(1024 * 1024);
    for (let i = 0; i < 256; i++) memory[free + i] = i;
    const lane = (): Float32Array => new Float32Array(memory.slice(free + 512, free + 512 + 1024).buffer);
    kernels.decodeE4M3(free, free + 512, 256);
    lane().forEach((value, bits) => {
      expect([bits, value]).toEqual([bits, e4m3(bits)]);
    });
    kernels.decodeE5M2(free, free + 512, 256);
    lane().forEach((value, bits) => {
      expect([bits, value]).toEqual([bits, f16Value(bits << 8)]);
    });
  });

  it('is read with one scale for all, for each row, and for each block', async () => {
    const at = (i: number, of: (row: number, column: number) => number): number =>
      Math.fround(e4m3(bytes[i] ?? 0) * Math.fround(of(Math.floor(i / COLUMNS), i % COLUMNS)));
    const kinds: [string, Scales, object, (row: number, column: number) => number][] = [
      ['one', { name: 'x.weight_scale', shape: [], values: [0.013] }, {}, () => 0.013],
      [
        'rows',
        {
          name: 'x.weight_scale',
          shape: [ROWS, 1],
          values: [1, 2, 3, 4, 5, 6].map((v) => v / 2),
          dtype: 'BF16',
        },
        {},
        (row) => (row + 1) / 2,
      ],
      [
        'blocks',
        { name: 'x.weight_scale_inv', shape: [2, 2], values: [0.1, 0.2, 0.3, 0.4] },
        BLOCKS,
        (row, column) => [0.1, 0.2, 0.3, 0.4][2 * Math.floor(row / 4) + Math.floor(column / 16)] ?? 0,
      ],
      ['large', { name: 'x.weight_scale_inv', shape: [1, 1], values: [0.7] }, {}, () => 0.7],
    ];
    for (const [name, scales, config, of] of kinds) {
      await store(name, scales, config);
      expect([...(await widen(name))]).toEqual([...bytes.keys()].map((i) => at(i, of)));
    }
    const nested = {
      quantization_config: { config_groups: { a: { weights: { block_structure: [4, 16] } } } },
    };
    await store('nested', kinds[2]?.[1], nested);
    expect(await widen('nested', 'dtype: float32')).toEqual(
      await readTensor(models.path('blocks-wide'), 'x.weight'),
    );
    const verified = await verifyMerge(models.path('blocks-wide'), { directory: models.path() });
    expect(verified.problems).toEqual([]);
    expect(JSON.parse(await readFile(models.path('blocks-wide', 'config.json'), 'utf8'))).toEqual({});
  });

  it('MRG-5: gives the same bytes when it does not fit into memory at once', async () => {
    const [rows, columns] = [2048, 1100];
    const weights = Uint8Array.from({ length: rows * columns }, (_, i) => (i * 37) % 0x7f);
    const values = Array.from({ length: 16 * 9 }, (_, i) => 0.01 * (i + 1));
    const scales = { name: 'x.weight_scale_inv', shape: [16, 9], values };
    await store('wide', scales, {}, { bytes: weights, shape: [rows, columns] });
    const recipe = 'merge_method: passthrough\nmodels: [{model: wide}]\ndtype: float32\n';
    const planned = await plan(models.path(), recipe);
    const hashes = [8, 64].map(async (megabytes) => {
      const output = models.path(`wide-${megabytes}`);
      const options = { output, workers: 1, memoryBytes: megabytes * 2 ** 20 };
      return (await runMerge(planned, options, { clock: systemClock })).contentHash;
    });
    expect(new Set(await Promise.all(hashes)).size).toBe(1);
    const { tensors } = await openCheckpoint(models.path('wide-8'));
    const file = await readFile(models.path('wide-8', 'model.safetensors'));
    const at = 1500 * columns + 1050;
    const made = file.readFloatLE((tensors.get('x.weight')?.offset ?? 0) + 4 * at);
    expect(made).toBe(Math.fround(e4m3(weights[at] ?? 0) * Math.fround(0.01 * (11 * 9 + 8 + 1))));
  });

  it('is kept as it is by a passthrough that names no type, scales and all', async () => {
    await store('kept', { name: 'x.weight_scale_inv', shape: [2, 2], values: [1, 2, 3, 4] }, BLOCKS);
    const planned = await plan(models.path(), 'merge_method: passthrough\nmodels: [{model: kept}]\n');
    await runMerge(planned, { output: models.path('kept-on') }, { clock: systemClock });
    const [before, after] = await Promise.all(
      ['kept', 'kept-on'].map(async (name) => {
        const { tensors, config } = await openCheckpoint(models.path(name));
        const file = await readFile(models.path(name, 'model.safetensors'));
        const x = tensors.get('x.weight');
        return {
          config,
          scale: x?.scale?.shape,
          bytes: file.subarray(x?.offset, (x?.offset ?? 0) + bytes.length),
        };
      }),
    );
    expect(after).toEqual(before);
    const linear = 'merge_method: linear\nmodels: [{model: kept, parameters: {weight: 1}}]';
    expect((await problemsOf(models.path(), linear))[0]).toContain('F8_E4M3 is read but not written');
  });

  it('is refused without scales that fit, and a NaN or an infinite scale ends the merge', async () => {
    const recipe = 'merge_method: passthrough\nmodels: [{model: bad}]\ndtype: float32';
    const wrong: [Scales | undefined, RegExp][] = [
      [undefined, /without their scales/],
      [{ name: 'x.weight_scale', shape: [3], values: [1, 2, 3] }, /another shape/],
      [{ name: 'x.weight_scale_inv', shape: [2, 2], values: [1, 2, 3, 4] }, /another shape/],
      [{ name: 'x.weight_scale', shape: [1], values: [1], dtype: 'F16' }, /not known/],
    ];
    for (const [scales, reason] of wrong) {
      await store('bad', scales);
      expect((await problemsOf(models.path(), recipe))[0]).toMatch(reason);
    }
    const run = async (): Promise<unknown> =>
      runMerge(await plan(models.path(), recipe), { output: models.path('bad-out') }, { clock: systemClock });
    await store('bad', { name: 'x.weight_scale', shape: [1], values: [Number.POSITIVE_INFINITY] });
    await expect(run()).rejects.toMatchObject({ code: 'tensor-invalid' });
    await store(
      'bad',
      { name: 'x.weight_scale', shape: [1], values: [1] },
      {},
      { bytes: bytes.map((byte, i) => (i === 7 ? 0xff : byte)), shape: [ROWS, COLUMNS] },
    );
    await expect(run()).rejects.toMatchObject({ code: 'tensor-invalid', facts: { index: 7 } });
  });

  it('takes part in deltas only on demand, is explained by its numbers, and gives no adapter', async () => {
    await store('fp8', { name: 'x.weight_scale', shape: [1], values: [0.5] });
    await widen('fp8');
    const delta =
      'merge_method: ties\nbase_model: fp8-wide\nmodels: [{model: fp8, parameters: {weight: 1}}]\ndtype: float32';
    expect((await problemsOf(models.path(), delta))[0]).toContain('drowns');
    const [output, base] = [models.path('fp8-wide'), models.path('rows-wide')];
    const { weights, rSquared } = await explainMerge({ output, parents: [models.path('fp8')], base });
    expect(weights[0]).toBeCloseTo(1, 6);
    expect(rSquared).toBeCloseTo(1, 6);
    const modules = (): boolean => true;
    const extracting = extractAdapter({ base: output, tuned: models.path('fp8'), rank: 1, modules });
    await expect(extracting).rejects.toMatchObject({ code: 'merge-refused' });
  });
});
