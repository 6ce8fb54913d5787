/** A merge that meets a full disk or bad data halfway: it says so, keeps what is done, and goes on when that is put right. */
import { copyFile, open, readFile, rename, rm, stat, symlink } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { openCheckpoint } from '../../src/merge/checkpoint.ts';
import type { MergeManifest } from '../../src/merge/manifest.ts';
import { type MergeProgress, type RunOptions, runMerge } from '../../src/merge/run.ts';
import { plan, TIES, useModels } from './models.ts';

const models = useModels();

async function merge(name: string, options: Partial<RunOptions> = {}): Promise<MergeManifest> {
  return runMerge(
    await plan(models.path(), TIES),
    { output: models.path(name), workers: 1, ...options },
    { clock: systemClock },
  );
}

async function done(name: string): Promise<number> {
  const journal = await readFile(models.path(`${name}.partial`, 'journal.ndjson'), 'utf8');
  return journal.split('\n').length - 2;
}

describe('MRG-17: goes on to the same bytes', { timeout: 120_000 }, () => {
  it('after the disk was full', async () => {
    const cancel = new AbortController();
    const onProgress = ({ tensorsDone }: MergeProgress): void => {
      if (tensorsDone === 6) cancel.abort();
    };
    await expect(merge('full', { signal: cancel.signal, onProgress })).rejects.toMatchObject({
      code: 'cancelled',
    });
    const data = models.path('full.partial', 'model.safetensors');
    const kept = await done('full');
    // Whatever is written from here on finds no room.
    await rename(data, models.path('kept'));
    await symlink('/dev/full', data);
    await expect(merge('full')).rejects.toMatchObject({
      code: 'disk-full',
      facts: { path: data },
    });
    await expect(stat(models.path('full'))).rejects.toThrow('ENOENT');
    expect(await done('full')).toBe(kept);
    await rm(data);
    await rename(models.path('kept'), data);
    const seen: number[] = [];
    const resumed = await merge('full', { onProgress: ({ tensorsDone }) => seen.push(tensorsDone) });
    expect(seen[0]).toBe(kept);
    expect(resumed).toEqual(await merge('full-not'));
  });

  it('MRG-11: after a NaN in a model was mended', async () => {
    const tensor = (await openCheckpoint(models.path('a'))).tensors.get(
      'model.layers.1.mlp.down_proj.weight',
    );
    const path = models.path('a', 'model.safetensors');
    await copyFile(path, models.path('a-sound'));
    const file = await open(path, 'r+');
    await file.write(Uint8Array.of(0xc0, 0x7f), 0, 2, (tensor?.offset ?? 0) + 2 * 77);
    await file.close();
    await expect(merge('nan')).rejects.toMatchObject({
      code: 'tensor-invalid',
      facts: { reason: 'NaN or infinity', tensor: tensor?.name, path, index: 77 },
    });
    await expect(stat(models.path('nan'))).rejects.toThrow('ENOENT');
    await rename(models.path('a-sound'), path);
    expect(await merge('nan')).toEqual(await merge('nan-not'));
  });
});
