import { createHash } from 'node:crypto';
import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat, toHex } from '../../src/base/bytes.ts';
import { systemClock } from '../../src/base/clock.ts';
import { openCheckpoint } from '../../src/merge/checkpoint.ts';
import { ggufText } from '../../src/merge/gguf.ts';
import { createKernels } from '../../src/merge/kernels.ts';
import { runMerge } from '../../src/merge/run.ts';
import { layOut } from '../../src/merge/safetensors.ts';
import { verifyMerge } from '../../src/merge/verify.ts';
import { readTensor, writeModel } from './gguf-models.ts';
import { plan, problemsOf, useModels } from './models.ts';
import { encode } from './support.ts';

const models = useModels();

interface Vectors {
  readonly conversions: {
    readonly bits: readonly number[];
    readonly F8_E4M3: string;
    readonly F8_E5M2: string;
  };
  readonly matrices: readonly {
    readonly dtype: 'F8_E4M3' | 'F8_E5M2';
    readonly shape: readonly [number, number];
    readonly block: readonly [number, number];
    readonly scaleBits: readonly number[];
    readonly first: string;
    readonly sha256: string;
  }[];
}

const vectors: Vectors = JSON.parse(
  await readFile(new URL('../../spec/vectors/merge/fp8.json', import.meta.url), 'utf8'),
);
const NAMES = { F8_E4M3: 'float8_e4m3fn', F8_E5M2: 'float8_e5m2' } as const;
type Fp8 = keyof typeof NAMES;

const { kernels, bytes: memory, free } = createKernels(1024 * 1024);
const AT = free + 65_536;

/** What the kernels make of numbers, as codes. */
function encoded(values: Float32Array, dtype: Fp8): Uint8Array {
  memory.set(new Uint8Array(values.buffer), free);
  (dtype === 'F8_E4M3' ? kernels.encodeE4M3 : kernels.encodeE5M2)(free, AT, values.length);
  return memory.slice(AT, AT + values.length);
}

/** What codes stand for. */
function decoded(codes: Uint8Array, dtype: Fp8): Float32Array {
  memory.set(codes, free);
  (dtype === 'F8_E4M3' ? kernels.decodeE4M3 : kernels.decodeE5M2)(free, AT, codes.length);
  return new Float32Array(memory.slice(AT, AT + 4 * codes.length).buffer);
}

const SMALL = 'model.layers.0.mlp.down_proj.weight';

async function store(
  name: string,
  tensors: readonly [string, readonly number[], Float64Array][],
): Promise<void> {
  await mkdir(models.path(name), { recursive: true });
  const layout = layOut(
    tensors.map(([tensor, shape]) => ({ name: tensor, dtype: 'F32', shape })),
    {},
  );
  const data = layout.tensors.map((entry) =>
    encode(tensors.find(([tensor]) => tensor === entry.name)?.[2] ?? [], 'F32'),
  );
  await writeFile(models.path(name, 'model.safetensors'), concat(layout.bytes, ...data));
  await writeFile(models.path(name, 'config.json'), JSON.stringify({ model_type: 'llama' }));
}

async function write(
  name: string,
  types: string,
  output = `${name}-out`,
  memoryBytes = 64 * 2 ** 20,
): Promise<string> {
  const planned = await plan(
    models.path(),
    `merge_method: passthrough\nmodels: [{model: ${name}}]\n${types}\n`,
  );
  await runMerge(planned, { output: models.path(output), workers: 1, memoryBytes }, { clock: systemClock });
  return models.path(output);
}

async function bytesOf(model: string, name: string): Promise<Uint8Array> {
  const tensor = (await openCheckpoint(model)).tensors.get(name);
  if (!tensor) throw new Error(`no ${name}`);
  const file = await open(tensor.path);
  const bytes = new Uint8Array(tensor.sizeBytes);
  await file.read(bytes, 0, bytes.length, tensor.offset);
  await file.close();
  return bytes;
}

const LINEAR = `merge_method: linear
models:
  - {model: a, parameters: {weight: 0.6}}
  - {model: b, parameters: {weight: 0.4}}
`;

describe('MRG-60: FP8 as an output', () => {
  it('converts as the vectors say', () => {
    const values = new Float32Array(Uint32Array.from(vectors.conversions.bits).buffer);
    for (const dtype of ['F8_E4M3', 'F8_E5M2'] as const)
      expect(toHex(encoded(values, dtype))).toBe(vectors.conversions[dtype]);
  });

  it.each(['F8_E4M3', 'F8_E5M2'] as const)(
    'converts any number to the nearest of %s, ties to even',
    (dtype) => {
      const codes = Uint8Array.from({ length: 128 }, (_, code) => code);
      const known = [...decoded(codes, dtype)].flatMap((value, code) =>
        Number.isFinite(value) ? [{ value, code }] : [],
      );
      const number = fc.oneof(
        fc.float({ noNaN: true, noDefaultInfinity: true }),
        fc.float({ min: -500, max: 500, noNaN: true }),
      );
      fc.assert(
        fc.property(fc.array(number, { minLength: 1, maxLength: 40 }), (list) => {
          const values = Float32Array.from(list);
          const made = encoded(values, dtype);
          values.forEach((value, i) => {
            const size = Math.min(Math.abs(value), known.at(-1)?.value ?? 0);
            const best = known.toSorted(
              (x, y) => Math.abs(x.value - size) - Math.abs(y.value - size) || (x.code & 1) - (y.code & 1),
            )[0];
            const negative = value < 0 || Object.is(value, -0);
            expect([value, made[i]]).toEqual([value, (best?.code ?? 0) | (negative ? 0x80 : 0)]);
          });
        }),
      );
    },
  );

  it.each(vectors.matrices)(
    'writes $shape of $dtype with a scale for $block as the vectors say',
    async (of) => {
      const [rows, columns] = of.shape;
      const values = Float64Array.from(
        { length: rows * columns },
        (_, i) => ((((7919 * i) % 4096) - 2047.5) / 4096) * (1 + (Math.floor(i / 1000) % 7)),
      );
      const name = `vector-${of.dtype}-${of.block.join('-')}`;
      await store(name, [[SMALL, of.shape, values]]);
      const sharing = of.block[0] === 1 ? 'row' : of.block[0] === 128 ? 'block' : 'tensor';
      const output = await write(name, `out_dtype: ${NAMES[of.dtype]}\nfp8_scales: ${sharing}`);
      const scales = await bytesOf(output, `${SMALL}${sharing === 'block' ? '_scale_inv' : '_scale'}`);
      expect([...new Uint32Array(scales.buffer)]).toEqual(of.scaleBits);
      const data = await bytesOf(output, SMALL);
      expect(toHex(data.subarray(0, 32))).toBe(of.first);
      expect(createHash('sha256').update(data).digest('hex')).toBe(of.sha256);
    },
  );

  it('takes the matrices of layers, and leaves embeddings, heads, vectors and routers in the other type', async () => {
    const two = new Float64Array(4).fill(1);
    const names = [
      'model.layers.0.mlp.gate_proj',
      'model.layers.0.mlp.gate',
      'model.embed_tokens',
      'lm_head',
    ];
    await store('kinds', [
      ...names.map((name): [string, number[], Float64Array] => [`${name}.weight`, [2, 2], two]),
      ['model.norm.weight', [4], two],
    ]);
    const types = async (text: string, output: string): Promise<object> => {
      const { tensors } = await openCheckpoint(await write('kinds', text, output));
      return Object.fromEntries(
        [...tensors.values()].map(({ name, dtype, shape }) => [name, `${dtype} ${shape}`]),
      );
    };
    expect(await types('dtype: float16\nout_dtype: float8_e4m3fn', 'kinds-16')).toEqual({
      'lm_head.weight': 'F16 2,2',
      'model.embed_tokens.weight': 'F16 2,2',
      'model.layers.0.mlp.gate.weight': 'F16 2,2',
      'model.layers.0.mlp.gate_proj.weight': 'F8_E4M3 2,2',
      'model.layers.0.mlp.gate_proj.weight_scale_inv': 'F32 1,1',
      'model.norm.weight': 'F16 4',
    });
    expect(await types('dtype: float8_e5m2\nfp8_scales: tensor', 'kinds-bf')).toMatchObject({
      'model.norm.weight': 'BF16 4',
      'model.layers.0.mlp.gate_proj.weight': 'F8_E5M2 2,2',
      'model.layers.0.mlp.gate_proj.weight_scale': 'F32 1',
    });
    const ignored = ['lm_head', 'model.layers.0.mlp.gate'];
    const config = JSON.parse(await readFile(models.path('kinds-16', 'config.json'), 'utf8'));
    expect(config.quantization_config).toEqual({
      quant_method: 'fp8',
      fmt: 'e4m3',
      activation_scheme: 'dynamic',
      weight_block_size: [128, 128],
      modules_to_not_convert: ignored,
    });
    await types('out_dtype: float8_e4m3fn\nfp8_scales: row', 'kinds-row');
    const rows = JSON.parse(
      await readFile(models.path('kinds-row', 'config.json'), 'utf8'),
    ).quantization_config;
    expect(rows).toMatchObject({
      quant_method: 'compressed-tensors',
      format: 'float-quantized',
      ignore: ignored,
    });
    expect(rows.config_groups.group_0.weights).toMatchObject({
      num_bits: 8,
      type: 'float',
      strategy: 'channel',
    });
  });
});

describe('MRG-61: scales of FP8', () => {
  it('bring any finite numbers back within half a step, of whatever size they are', async () => {
    const row = fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), { minLength: 5, maxLength: 5 });
    const rows = fc.sample(fc.array(row, { minLength: 1, maxLength: 6 }), { numRuns: 12, seed: 7 });
    rows.push([[0, 0, 0, 0, 0]], [[1e-45, 0, 0, -1e-45, 0]], [[3.4e38, -3.4e38, 1, 0, 1e-30]]);
    const name = (i: number): string => `model.layers.0.any${i}.weight`;
    await store(
      'any',
      rows.map((list, i) => [name(i), [list.length, 5], Float64Array.from(list.flat())]),
    );
    const output = await write('any', 'dtype: float32\nout_dtype: float8_e4m3fn\nfp8_scales: row');
    for (const [i, list] of rows.entries()) {
      const codes = decoded(await bytesOf(output, name(i)), 'F8_E4M3');
      const scales = new Float32Array((await bytesOf(output, `${name(i)}_scale`)).buffer);
      list.flat().forEach((value, at) => {
        const scale = scales[Math.floor(at / 5)] ?? 0;
        const own = codes[at] ?? Number.NaN;
        // Half a step of a number with three bits of fraction, of the least steps, and what dividing rounds.
        const step = Math.max(Math.abs(value) / 15.9, scale * 2 ** -9.9, 2 ** -149 * 448);
        expect(Math.abs(own * scale - value)).toBeLessThanOrEqual(step);
      });
    }
  });

  it('MRG-5: are the same whatever the memory, and MRG-21: are verified and repeated', async () => {
    const types = 'base_model: base\ndtype: bfloat16\nout_dtype: float8_e4m3fn\n';
    const planned = await plan(
      models.path(),
      `${LINEAR.replace('linear', 'dare_ties').replaceAll('}}', ', density: 0.5}}')}${types}`,
    );
    const hashes: string[] = [];
    for (const [workers, megabytes] of [
      [1, 8],
      [2, 64],
    ] as const) {
      const output = models.path(`fp8-${megabytes}`);
      const manifest = await runMerge(
        planned,
        { output, workers, memoryBytes: megabytes * 2 ** 20 },
        { clock: systemClock },
      );
      hashes.push(manifest.contentHash);
    }
    expect(new Set(hashes).size).toBe(1);
    const verified = await verifyMerge(models.path('fp8-8'), { directory: models.path() });
    expect([verified.problems, verified.repeated]).toEqual([[], planned.tasks.length]);
    const { tensors } = await openCheckpoint(models.path('fp8-8'));
    const scale = [...tensors.values()].find(({ name }) => name.endsWith('_scale_inv'));
    const file = await open(scale?.path ?? '', 'r+');
    await file.write(Uint8Array.of(0x41), 0, 1, (scale?.offset ?? 0) + 3);
    await file.close();
    const changed = await verifyMerge(models.path('fp8-8'), { directory: models.path() });
    expect(changed.problems).toContain(`${scale?.name} has other data`);
  });

  it('are found for a tensor that does not fit into memory at once', async () => {
    const [rows, columns] = [2200, 1030];
    const values = Float64Array.from({ length: rows * columns }, (_, i) => ((i * 37) % 1009) / 7 - 60);
    await store('large', [[SMALL, [rows, columns], values]]);
    const outputs = [
      await write('large', 'out_dtype: float8_e4m3fn', 'large-8', 8 * 2 ** 20),
      await write('large', 'out_dtype: float8_e4m3fn', 'large-64', 64 * 2 ** 20),
    ];
    const [few, many] = await Promise.all(outputs.map((output) => bytesOf(output, SMALL)));
    expect(few).toEqual(many);
    const scales = new Float32Array((await bytesOf(outputs[0] ?? '', `${SMALL}_scale_inv`)).buffer);
    const top = Math.max(
      ...Array.from({ length: 128 * 128 }, (_, i) =>
        Math.abs(values[(1024 + Math.floor(i / 128)) * columns + 256 + (i % 128)] ?? 0),
      ),
    );
    expect(scales[8 * 9 + 2]).toBe(Math.fround(Math.fround(top) / 448));
  });

  it('are made anew when FP8 is read and written, and FP8 merges with what is not', async () => {
    await runMerge(
      await plan(models.path(), `${LINEAR}out_dtype: float8_e4m3fn\n`),
      { output: models.path('fp8') },
      { clock: systemClock },
    );
    const again = `merge_method: linear\nmodels: [{model: fp8, parameters: {weight: 1}}, {model: c, parameters: {weight: 0}}]\n`;
    const planned = await plan(models.path(), `${again}out_dtype: float8_e4m3fn\n`);
    await runMerge(planned, { output: models.path('fp8-again') }, { clock: systemClock });
    for (const name of [SMALL, `${SMALL}_scale_inv`])
      expect(await bytesOf(models.path('fp8-again'), name)).toEqual(await bytesOf(models.path('fp8'), name));
    expect(await readFile(models.path('fp8-again', 'config.json'), 'utf8')).toBe(
      await readFile(models.path('fp8', 'config.json'), 'utf8'),
    );
    const wide = await plan(models.path(), `${again}dtype: float32\n`);
    await runMerge(wide, { output: models.path('fp8-wide') }, { clock: systemClock });
    const [mean, exact] = await Promise.all(
      ['fp8-wide', 'a'].map((name) => readTensor(models.path(name), SMALL)),
    );
    const off = mean
      ?.map((value, i) => Math.abs(value - (exact?.[i] ?? 0)))
      .reduce((x, y) => Math.max(x, y), 0);
    expect(off).toBeLessThan(0.02);
  });
});

describe('MRG-62: what is wrong with a recipe for FP8', () => {
  it.each([
    ['out_dtype: float8_e4m3', /out_dtype: float8_e4m3 is not one of .*did you mean float8_e4m3fn\?/],
    ['out_dtype: float8_e4m3fn\nfp8_scales: rows', /fp8_scales: rows is not one of block, row, tensor/],
    ['dtype: float32\nfp8_scales: row', /fp8_scales is for an out_dtype of FP8/],
    ['dtype: flaot32\nout_dtype: float8_e5m2', /dtype: flaot32 is not one of .*did you mean float32\?/],
  ])('%s', async (types, problem) => {
    expect((await problemsOf(models.path(), `${LINEAR}${types}\n`)).join('; ')).toMatch(problem);
  });

  it('models of GGUF', async () => {
    const tensors = [
      { name: 'blk.0.attn_q.weight', dtype: 'F16', shape: [2, 32], values: new Float32Array(64) },
    ];
    const metadata = new Map([['general.architecture', ggufText('llama')]]);
    await writeModel(models.path('small.gguf'), { metadata, tensors });
    const recipe = 'merge_method: passthrough\nmodels: [{model: small.gguf}]\nout_dtype: float8_e4m3fn\n';
    expect(await problemsOf(models.path(), recipe)).toEqual([
      'out_dtype: FP8 is a type of safetensors, the models are GGUF',
    ]);
  });

  it('a result that f32 cannot hold ends the merge, naming tensor and index', async () => {
    await store('huge', [[SMALL, [1, 4], Float64Array.of(1, 2, 3e38, 3e38)]]);
    const recipe = `merge_method: linear\nmodels: [{model: huge, parameters: {weight: 2}}]\nparameters: {normalize: false}\nout_dtype: float8_e4m3fn\n`;
    const run = runMerge(
      await plan(models.path(), recipe),
      { output: models.path('huge-out') },
      { clock: systemClock },
    );
    await expect(run).rejects.toMatchObject({
      code: 'tensor-invalid',
      facts: { tensor: SMALL, index: 2, reason: 'result out of range of the output type' },
    });
  });
});
