import { appendFile, mkdir, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { makeModel, TINY } from '../../examples/merge/make-models.ts';
import { systemClock } from '../../src/base/clock.ts';
import { openCheckpoint } from '../../src/merge/checkpoint.ts';
import { createFileIo } from '../../src/merge/io.ts';
import { MANIFEST_NAME, type MergeManifest } from '../../src/merge/manifest.ts';
import { type MergeProgress, type RunOptions, runMerge } from '../../src/merge/run.ts';
import { layOut } from '../../src/merge/safetensors.ts';
import { plan, TIES, useModels } from './models.ts';

const models = useModels();
const MIB = 2 ** 20;

async function merge(name: string, options: Partial<RunOptions> = {}, recipe = TIES): Promise<MergeManifest> {
  const planned = await plan(models.path(), recipe);
  return runMerge(planned, { output: models.path(name), ...options }, { clock: systemClock });
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

describe('MRG-5, MRG-19: the same merge', { timeout: 120_000 }, () => {
  it('writes the same bytes with one worker and two, with 16 MiB and 256 MiB', async () => {
    // Large enough that a second worker is worth starting.
    const wide = { ...TINY, hidden: 256, intermediate: 512 };
    for (const [i, name] of ['base', 'a', 'b'].entries()) {
      await makeModel(models.path('wide', name), wide, i === 0 ? { base: 1 } : { base: 1, tune: i });
    }
    const recipe = TIES.replace(/\b(base|a|b)$/gm, 'wide/$1');

    const outputs: Buffer[][] = [];
    const settings = [
      { workers: 1, memoryBytes: 16 * MIB },
      { workers: 2, memoryBytes: 16 * MIB },
      { workers: 1, memoryBytes: 256 * MIB },
      { workers: 2, memoryBytes: 256 * MIB },
    ];
    for (const [i, options] of settings.entries()) {
      await merge(`same-${i}`, options, recipe);
      const files = ['model.safetensors', MANIFEST_NAME, 'config.json'];
      outputs.push(await Promise.all(files.map((file) => readFile(models.path(`same-${i}`, file)))));
    }
    for (const output of outputs.slice(1)) expect(output).toEqual(outputs[0]);
  });

  it('has the same content hash in one file and in several', async () => {
    const one = await merge('whole');
    const planned = await plan(models.path(), TIES, { shardBytesMax: 50_000 });
    const split = await runMerge(planned, { output: models.path('split') }, { clock: systemClock });
    expect(planned.files.length).toBeGreaterThan(2);
    expect(split.contentHash).toBe(one.contentHash);
    const [a, b] = await Promise.all(['whole', 'split'].map((name) => openCheckpoint(models.path(name))));
    expect(b?.files).toHaveLength(planned.files.length);
    expect([...(b?.tensors.keys() ?? [])].sort()).toEqual([...(a?.tensors.keys() ?? [])].sort());
  });

  it('copies the tokenizer and states type and layers in the configuration', async () => {
    await writeFile(models.path('c', 'tokenizer.json'), '{"c":1}');
    await merge('configured', {}, 'merge_method: passthrough\nmodels: [{model: c}]\ndtype: float32');
    expect(await readFile(models.path('configured', 'tokenizer.json'), 'utf8')).toBe('{"c":1}');
    const config = JSON.parse(await readFile(models.path('configured', 'config.json'), 'utf8'));
    expect(config).toMatchObject({ torch_dtype: 'float32', num_hidden_layers: 2 });
  });
});

describe('MRG-17: nothing unfinished under the final name', { timeout: 120_000 }, () => {
  it('is cancelled at once and goes on later; what did not reach the disk is done again', async () => {
    const cancel = new AbortController();
    const onProgress = ({ tensorsDone }: MergeProgress): void => {
      if (tensorsDone === 5) cancel.abort();
    };
    const stopped = merge('cancelled', { workers: 1, signal: cancel.signal, onProgress });
    await expect(stopped).rejects.toMatchObject({ code: 'cancelled' });
    expect(await exists(models.path('cancelled'))).toBe(false);
    const partial = models.path('cancelled.partial');
    const journal = await readFile(`${partial}/journal.ndjson`, 'utf8');
    const [first = '{}'] = journal.split('\n').slice(1);
    const { name } = JSON.parse(first);
    const damaged = (await openCheckpoint(partial)).tensors.get(name);
    const file = await open(`${partial}/model.safetensors`, 'r+');
    await file.write(new Uint8Array(2).fill(0x55), 0, 2, damaged?.offset);
    await file.close();
    await appendFile(`${partial}/journal.ndjson`, '{"name":"torn');
    const seen: number[] = [];
    const resumed = await merge('cancelled', { onProgress: ({ tensorsDone }) => seen.push(tensorsDone) });
    expect(seen[0]).toBeGreaterThan(2);
    expect(seen[0]).toBeLessThan(journal.split('\n').length - 1);
    expect(resumed).toEqual(await merge('cancelled-not'));
  });

  it('starts over when the recipe has changed', async () => {
    const cancel = new AbortController();
    const stop = {
      signal: cancel.signal,
      onProgress: ({ tensorsDone }: MergeProgress) => tensorsDone > 2 && cancel.abort(),
    };
    await expect(merge('changed', stop)).rejects.toMatchObject({ code: 'cancelled' });
    const other = TIES.replace('0.6', '0.7');
    const seen: number[] = [];
    const changed = await merge(
      'changed',
      { onProgress: ({ tensorsDone }) => seen.push(tensorsDone) },
      other,
    );
    expect(seen[0]).toBe(0);
    expect(changed).toEqual(await merge('changed-not', {}, other));
  });

  it('does not touch an output that exists, and does nothing when cancelled before', async () => {
    await mkdir(models.path('there'));
    await expect(merge('there')).rejects.toMatchObject({ code: 'merge-refused' });
    expect(await readdir(models.path('there'))).toEqual([]);
    await mkdir(models.path('mine.partial'));
    await writeFile(models.path('mine.partial', 'thesis.txt'), 'mine');
    await expect(merge('mine')).rejects.toMatchObject({ code: 'merge-refused' });
    expect(await readdir(models.path('mine.partial'))).toEqual(['thesis.txt']);
    await expect(merge('never', { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'cancelled',
    });
  });

  it('reports progress up to the end', async () => {
    const seen: MergeProgress[] = [];
    await merge('progress', { workers: 1, onProgress: (progress) => seen.push(progress) });
    expect(seen[0]).toMatchObject({ tensorsDone: 0, tensors: 21, bytesDone: 0, secondsLeft: undefined });
    const last = seen.at(-1);
    expect(last).toMatchObject({ tensorsDone: 21, secondsLeft: 0 });
    expect(last?.bytesDone).toBe(last?.bytes);
  });
});

describe('what the disk says', () => {
  it('is told apart: full, missing, too short', () => {
    const io = createFileIo('/dev');
    const target = { path: 'full', dtype: 'F32', offset: 0, sizeBytes: 4 };
    expect(() => io.write(target, 0, new Uint8Array(4))).toThrow(
      expect.objectContaining({ code: 'disk-full' }),
    );
    const missing = { ...target, path: models.path('no-such-file') };
    expect(() => io.read(missing, 0, new Uint8Array(4))).toThrow(
      expect.objectContaining({ code: 'file-missing' }),
    );
    const short = { ...target, path: models.path('a', 'config.json'), offset: 1e9 };
    expect(() => io.read(short, 0, new Uint8Array(4))).toThrow(
      expect.objectContaining({ code: 'tensor-invalid' }),
    );
    io.close();
  });
});

describe('MRG-3, MRG-11: data that cannot be merged', { timeout: 120_000 }, () => {
  async function twoModels(
    name: string,
    tensor: { dtype: string; shape: number[] },
    data: readonly Uint8Array[],
  ): Promise<string> {
    for (const [i, bytes] of data.entries()) {
      const folder = models.path(`${name}-${i}`);
      await mkdir(folder, { recursive: true });
      const layout = layOut([{ name: 'x', ...tensor }], {});
      await writeFile(`${folder}/model.safetensors`, Buffer.concat([layout.bytes, bytes]));
    }
    const entry = (i: number): string => `{model: ${name}-${i}, parameters: {weight: 1}}`;
    return `merge_method: linear\nmodels: [${entry(0)}, ${entry(1)}]`;
  }

  it('names file, tensor and place of a NaN', async () => {
    const good = new Uint8Array(Float32Array.of(1, 2, 3).buffer);
    const bad = new Uint8Array(Float32Array.of(1, 2, Number.NaN).buffer);
    const recipe = await twoModels('nan', { dtype: 'F32', shape: [3] }, [good, bad]);
    const facts = {
      reason: 'NaN or infinity',
      tensor: 'x',
      path: models.path('nan-1', 'model.safetensors'),
      index: 2,
    };
    await expect(merge('nan-out', {}, recipe)).rejects.toMatchObject({ code: 'tensor-invalid', facts });
    expect(await exists(models.path('nan-out'))).toBe(false);
  });

  it('copies integers that all models share, and refuses those that differ', async () => {
    const same = Uint8Array.of(1, 2, 3);
    const equal = await twoModels('int', { dtype: 'I8', shape: [3] }, [same, same]);
    const manifest = await merge('int-out', {}, equal);
    expect(manifest.tensors).toMatchObject([{ name: 'x', dtype: 'I8', gram: [] }]);
    expect((await readFile(models.path('int-out', 'model.safetensors'))).subarray(-3)).toEqual(
      Buffer.from(same),
    );
    const unequal = await twoModels('ints', { dtype: 'I8', shape: [3] }, [same, Uint8Array.of(1, 2, 4)]);
    await expect(merge('ints-out', {}, unequal)).rejects.toMatchObject({ code: 'tensor-invalid' });
  });

  it('merges tensors of different weight types, an empty one, and a scalar', async () => {
    const recipe = await twoModels('mixed', { dtype: 'F32', shape: [] }, [
      new Uint8Array(Float32Array.of(3).buffer),
      new Uint8Array(Float32Array.of(5).buffer),
    ]);
    const half = layOut([{ name: 'x', dtype: 'F16', shape: [] }], {});
    await writeFile(
      models.path('mixed-1', 'model.safetensors'),
      Buffer.concat([half.bytes, Uint8Array.of(0, 0x45)]),
    );
    await merge('mixed-out', {}, recipe);
    const out = await readFile(models.path('mixed-out', 'model.safetensors'));
    expect(out.readFloatLE(out.length - 4)).toBe(4);
    const empty = await twoModels('empty', { dtype: 'BF16', shape: [0, 4] }, [
      new Uint8Array(),
      new Uint8Array(),
    ]);
    expect((await merge('empty-out', {}, empty)).tensors).toHaveLength(1);
  });

  it('refuses float types that it cannot merge, before reading data', async () => {
    const data = new Uint8Array(8);
    const recipe = await twoModels('double', { dtype: 'F64', shape: [1] }, [data, data]);
    await expect(merge('double-out', {}, recipe)).rejects.toMatchObject({
      code: 'recipe-invalid',
      facts: { problems: ['x: element type F64 is not merged'] },
    });
    const copy = await merge('double-copy', {}, 'merge_method: passthrough\nmodels: [{model: double-0}]');
    expect(copy.tensors[0]).toMatchObject({ dtype: 'F64', gram: [] });
  });

  it('notices a file that shrinks, and memory that is too small for a row', async () => {
    const long = new Uint8Array(4 * 3_000_000);
    await twoModels('row', { dtype: 'F32', shape: [1, 3_000_000] }, [long, long]);
    const settings = 'parameters: {weight: 1, density: 0.5, epsilon: 0.1}';
    const recipe = `merge_method: della\nbase_model: row-0\nmodels: [{model: row-1, ${settings}}]`;
    const refused = merge('row-out', { workers: 1, memoryBytes: 16 * MIB }, recipe);
    await expect(refused).rejects.toMatchObject({
      code: 'merge-refused',
      facts: { reason: 'memory too small' },
    });
    await merge('row-out', { workers: 1, memoryBytes: 256 * MIB }, recipe);
    expect(await exists(models.path('row-out'))).toBe(true);
    await rm(models.path('row-out'), { recursive: true });
    const planned = await plan(models.path(), recipe);
    await writeFile(models.path('row-1', 'model.safetensors'), 'gone');
    const run = runMerge(planned, { output: models.path('shrunk') }, { clock: systemClock });
    await expect(run).rejects.toMatchObject({ code: 'tensor-invalid' });
  });
});
