import { readFileSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromHex } from '../../src/base/bytes.ts';
import { systemClock } from '../../src/base/clock.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { openCheckpoint } from '../../src/merge/checkpoint.ts';
import { codecBytes, codecOf, decodeLane, encodeLane } from '../../src/merge/dtypes.ts';
import { ggufText, ggufU32, layOutGguf, parseGguf } from '../../src/merge/gguf.ts';
import { createKernels } from '../../src/merge/kernels.ts';
import type { MergeManifest } from '../../src/merge/manifest.ts';
import { runMerge } from '../../src/merge/run.ts';
import { verifyMerge } from '../../src/merge/verify.ts';
import { plan, useModels } from './models.ts';
import { createRandom, normals } from './support.ts';

interface Blocks {
  values: string;
  encoded: { dtype: string; stored: string; values: string }[];
  decoded: { dtype: string; stored: string; values: string }[];
}

function vectors<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../../spec/vectors/merge/${name}.json`, import.meta.url), 'utf8'));
}

function bytesOf(hex: string): Uint8Array {
  return fromHex(hex) ?? new Uint8Array();
}

const { kernels, bytes: memory, free } = createKernels(4 * 2 ** 20);
const LANE = free + 65_536;

/** Stored form of `values`, by the kernels. */
function store(values: ArrayLike<number>, dtype: string): Uint8Array {
  memory.set(new Uint8Array(Float32Array.from(values).buffer), LANE);
  encodeLane(codecOf(dtype), { kernels, memory }, { src: LANE, dst: free, n: values.length });
  return memory.slice(free, free + codecBytes(codecOf(dtype), values.length));
}

function load(stored: Uint8Array, dtype: string, n: number): Uint8Array {
  memory.set(stored, free);
  decodeLane(codecOf(dtype), { kernels, memory }, { src: free, dst: LANE, n });
  return memory.slice(LANE, LANE + 4 * n);
}

describe('MRG-25: block formats are those of ggml, bit for bit', () => {
  const { values, encoded, decoded } = vectors<Blocks>('blocks');
  const numbers = new Float32Array(bytesOf(values).slice().buffer);
  for (const { dtype, stored, values: back } of encoded) {
    it(`${dtype} both ways`, () => {
      expect(store(numbers, dtype)).toEqual(bytesOf(stored));
      expect(load(bytesOf(stored), dtype, 512)).toEqual(bytesOf(back));
    });
  }
  for (const { dtype, stored, values: back } of decoded) {
    it(`${dtype} as input`, () => {
      expect(load(bytesOf(stored), dtype, 512)).toEqual(bytesOf(back));
    });
  }
});

describe('MRG-25: GGUF files', { timeout: 120_000 }, () => {
  const { hex, tensors, metadata } = vectors<{
    hex: string;
    tensors: object[];
    metadata: Record<string, unknown>;
  }>('gguf');
  const file = bytesOf(hex);

  it('are read as the Python package writes them, and written the same', () => {
    const header = parseGguf(file, file.length);
    expect(header.tensors).toMatchObject(tensors);
    for (const [key, value] of Object.entries(metadata)) expect(header.metadata.get(key)?.value).toBe(value);
    const again = layOutGguf(header.tensors, header.metadata);
    expect(again.fileBytes).toBe(file.length);
    expect(again.bytes).toEqual(file.slice(0, again.bytes.length));
    expect(again.tensors).toMatchObject(header.tensors);
  });

  it('are refused when cut anywhere or longer than they say', () => {
    const whole = parseGguf(file, file.length);
    const end = whole.tensors.reduce((most, { offset, sizeBytes }) => Math.max(most, offset + sizeBytes), 0);
    for (let length = 0; length < file.length; length += 3) {
      const cut = (): unknown => parseGguf(file.slice(0, length), length);
      if (length < end) expect(cut).toThrow(expect.objectContaining({ code: 'tensor-invalid' }));
    }
    expect(() => parseGguf(file, file.length + 1)).toThrow(
      expect.objectContaining({ code: 'tensor-invalid' }),
    );
  });

  it('are refused with a clear error, or read, whatever bytes are changed', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(file.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        (changes) => {
          const damaged = file.slice();
          for (const [at, byte] of changes) damaged[at] = byte;
          try {
            const { tensors: read } = parseGguf(damaged, damaged.length);
            for (const { offset, sizeBytes } of read)
              expect(offset + sizeBytes).toBeLessThanOrEqual(damaged.length);
          } catch (error) {
            expect(error).toBeInstanceOf(SaharaError);
            expect(error).toMatchObject({ code: 'tensor-invalid' });
          }
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('are refused for huge counts, unknown types, a key or name twice, offsets that overlap', () => {
    const head = (tensorCount: bigint, keys: bigint): Uint8Array => {
      const bytes = new Uint8Array(24);
      const view = new DataView(bytes.buffer);
      view.setUint32(0, 0x4655_4747, true);
      view.setUint32(4, 3, true);
      view.setBigUint64(8, tensorCount, true);
      view.setBigUint64(16, keys, true);
      return bytes;
    };
    const shape = { name: 'x', dtype: 'F32', shape: [8] };
    const twice = layOutGguf([shape, shape], new Map());
    const one = layOutGguf([shape, { ...shape, name: 'y' }], new Map());
    const overlap = one.bytes.slice();
    overlap[overlap.length - 8] = 0;
    const wrong: [Uint8Array, number][] = [
      [head(2n ** 60n, 0n), 24],
      [head(0n, 2n ** 60n), 24],
      [twice.bytes, twice.fileBytes],
      [overlap, one.fileBytes],
      [Uint8Array.of(0x47, 0x47, 0x4d, 0x4c, 1, 0, 0, 0), 8],
    ];
    for (const [bytes, size] of wrong) {
      expect(() => parseGguf(bytes, size)).toThrow(expect.objectContaining({ code: 'tensor-invalid' }));
    }
    expect(() => layOutGguf([{ name: 'x', dtype: 'U64', shape: [1] }], new Map())).toThrow(
      expect.objectContaining({ code: 'tensor-invalid' }),
    );
    expect(() => layOutGguf([{ name: 'x', dtype: 'Q8_0', shape: [33] }], new Map())).toThrow(
      expect.objectContaining({ code: 'tensor-invalid' }),
    );
  });
});

describe('MRG-26: merging GGUF', { timeout: 120_000 }, () => {
  const models = useModels();
  const SHAPES: [string, number[]][] = [
    ['token_embd.weight', [16, 256]],
    ...[0, 1, 2].flatMap((layer): [string, number[]][] => [
      [`blk.${layer}.attn_norm.weight`, [256]],
      [`blk.${layer}.attn_q.weight`, [64, 256]],
    ]),
    ['output_norm.weight', [256]],
  ];

  async function make(name: string, dtype: string, tune = 0): Promise<string> {
    const base = createRandom(1);
    const own = createRandom(tune);
    const shapes = SHAPES.map(([tensor, shape]) => ({
      name: tensor,
      dtype: shape.length > 1 ? dtype : 'F32',
      shape,
    }));
    const metadata = new Map([
      ['general.architecture', ggufText('llama')],
      ['general.name', ggufText(name)],
      ['llama.block_count', ggufU32(3)],
      ['general.file_type', ggufU32(7)],
    ]);
    const { bytes, tensors, fileBytes } = layOutGguf(shapes, metadata);
    const file = new Uint8Array(fileBytes);
    file.set(bytes);
    for (const tensor of tensors) {
      const values = normals(tensor.elements, 0.02, base);
      const delta = normals(tensor.elements, 0.004, own);
      file.set(
        store(
          values.map((value, i) => value + (tune ? (delta[i] ?? 0) : 0)),
          tensor.dtype,
        ),
        tensor.offset,
      );
    }
    await mkdir(models.path('gguf'), { recursive: true });
    await writeFile(models.path('gguf', `${name}.gguf`), file);
    return `gguf/${name}.gguf`;
  }

  async function merge(name: string, recipe: string): Promise<MergeManifest> {
    return runMerge(await plan(models.path(), recipe), { output: models.path(name) }, { clock: systemClock });
  }

  const linear = (a: string, b: string): string =>
    `merge_method: linear\nmodels: [{model: ${a}, parameters: {weight: 0.5}}, {model: ${b}, parameters: {weight: 0.5}}]`;

  for (const dtype of ['F16', 'BF16', 'Q8_0', 'Q4_0', 'Q4_1', 'Q5_0', 'Q5_1']) {
    it(`${dtype} in and out, vectors staying F32`, async () => {
      const [a, b] = [await make(`a-${dtype}`, dtype, 2), await make(`b-${dtype}`, dtype, 3)];
      const manifest = await merge(`linear-${dtype}`, linear(a, b));
      const merged = await openCheckpoint(models.path(`linear-${dtype}`));
      expect(merged.metadata?.get('general.file_type')?.value).toBe(7);
      const tensor = merged.tensors.get('blk.1.attn_q.weight');
      expect(tensor).toMatchObject({ dtype, shape: [64, 256] });
      expect(merged.tensors.get('output_norm.weight')?.dtype).toBe('F32');
      const read = async (path: string): Promise<Float32Array> => {
        const found = (await openCheckpoint(path)).tensors.get('blk.1.attn_q.weight');
        const file = await readFile(found?.path ?? '');
        const raw = file.subarray(found?.offset, (found?.offset ?? 0) + (found?.sizeBytes ?? 0));
        return new Float32Array(load(raw, dtype, 64 * 256).buffer);
      };
      const [x, y, z] = [
        await read(models.path(a)),
        await read(models.path(b)),
        await read(models.path(`linear-${dtype}`)),
      ];
      const mean = x.map((value, i) => (value + (y[i] ?? 0)) / 2);
      expect(z).toEqual(new Float32Array(load(store(mean, dtype), dtype, 64 * 256).buffer));
      expect(manifest.parents.reduce((sum, { sharePpm }) => sum + sharePpm, 0)).toBe(1_000_000);
      expect(
        (await verifyMerge(models.path(`linear-${dtype}`), { directory: models.path() })).problems,
      ).toEqual([]);
    });
  }

  it('writes another type on demand, and says so in the metadata', async () => {
    const [a, b] = [await make('a-out', 'Q8_0', 2), await make('b-out', 'Q8_0', 3)];
    await merge('retyped', `${linear(a, b)}\nout_dtype: float16`);
    const { tensors, metadata } = await openCheckpoint(models.path('retyped'));
    expect(metadata?.get('general.file_type')?.value).toBe(1);
    expect(metadata?.get('general.name')?.value).toBe('a-out');
    expect(tensors.get('token_embd.weight')?.dtype).toBe('F16');
    expect(tensors.get('blk.0.attn_norm.weight')?.dtype).toBe('F32');
  });

  it('stacks layers without touching a block, and counts them', async () => {
    const a = await make('a-stack', 'Q4_0', 2);
    const slice = `{sources: [{model: ${a}, layer_range: [0, 3]}]}`;
    const manifest = await merge('stacked', `merge_method: passthrough\nslices: [${slice}, ${slice}]`);
    const { tensors, metadata } = await openCheckpoint(models.path('stacked'));
    expect(metadata?.get('llama.block_count')?.value).toBe(6);
    expect(tensors.size).toBe(2 + 6 * 2);
    const hashOf = (name: string): unknown => manifest.tensors.find((tensor) => tensor.name === name);
    expect(hashOf('blk.5.attn_q.weight')).toMatchObject({ dtype: 'Q4_0' });
    const [twin, tensor] = ['blk.2.attn_q.weight', 'blk.5.attn_q.weight'].map(hashOf);
    expect(tensor).toMatchObject({ sha256: (twin as { sha256: string }).sha256 });
    expect(tensor).toMatchObject({ inputs: [(twin as { sha256: string }).sha256] });
  });

  it('refuses deltas that quantisation drowns, unless told to, and warns of blurred ones', async () => {
    const arithmetic = (base: string, a: string): string =>
      `merge_method: task_arithmetic\nbase_model: ${base}\nmodels: [{model: ${a}, parameters: {weight: 1}}]`;
    const low = arithmetic(await make('base-q4', 'Q4_0'), await make('a-q4', 'Q4_0', 2));
    const message =
      'task_arithmetic takes deltas of Q4_0: the quantisation drowns them; merge unquantised models, or insist on noisy deltas';
    await expect(plan(models.path(), low)).rejects.toMatchObject({ facts: { problems: [message] } });
    const forced = await plan(models.path(), low, { noisyDeltas: true });
    expect(forced.warnings).toHaveLength(1);
    const high = arithmetic(await make('base-q8', 'Q8_0'), await make('a-q8', 'Q8_0', 2));
    expect((await plan(models.path(), high)).warnings).toHaveLength(1);
  });

  it('refuses formats that are only read, parts of a split file, and a mix with safetensors', async () => {
    const shapes = [{ name: 'blk.0.attn_q.weight', dtype: 'Q4_K', shape: [2, 256] }];
    const problemsOf = async (
      name: string,
      metadata: Map<string, ReturnType<typeof ggufU32>>,
      other = name,
    ): Promise<unknown> => {
      const layout = layOutGguf(shapes, metadata);
      const file = new Uint8Array(layout.fileBytes);
      file.set(layout.bytes);
      await mkdir(models.path('gguf'), { recursive: true });
      await writeFile(models.path('gguf', `${name}.gguf`), file);
      const recipe = `merge_method: linear\nmodels: [{model: gguf/${name}.gguf, parameters: {weight: 1}}, {model: ${other}, parameters: {weight: 1}}]`;
      return plan(models.path(), recipe.replaceAll(`{model: ${name},`, `{model: gguf/${name}.gguf,`)).then(
        () => [],
        (error: SaharaError) => error.facts.problems,
      );
    };
    expect(await problemsOf('read-only', new Map([['general.architecture', ggufText('llama')]]))).toEqual([
      'blk.0.attn_q.weight: Q4_K is read but not written; name another type with out_dtype',
    ]);
    expect(await problemsOf('split', new Map([['split.count', ggufU32(2)]]))).toEqual([
      expect.stringContaining('is one part of several'),
    ]);
    expect(await problemsOf('mixed', new Map(), 'a')).toEqual([
      'the models are of different formats: GGUF and safetensors',
    ]);
  });
});
