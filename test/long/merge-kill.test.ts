import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { MANIFEST_NAME } from '../../src/merge/manifest.ts';
import { runMerge } from '../../src/merge/run.ts';
import { plan, TIES, useModels } from '../merge/models.ts';

const models = useModels();

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

it('MRG-17: a merge goes on after being killed every few tensors, to the same bytes', {
  timeout: 600_000,
}, async () => {
  const planned = await plan(models.path(), TIES);
  const expected = await runMerge(planned, { output: models.path('undisturbed') }, { clock: systemClock });
  const child = fileURLToPath(new URL('../merge/merge-child.ts', import.meta.url));
  let deaths = 0;
  for (; deaths < 30; deaths++) {
    const args = [child, models.path(), models.path('killed'), TIES, '3'];
    const running = spawn(process.execPath, args, { stdio: 'inherit' });
    const [code] = await once(running, 'exit');
    if (code === 0) break;
    expect(await exists(models.path('killed'))).toBe(false);
  }
  expect(deaths).toBeGreaterThan(3);
  const manifest = await readFile(models.path('killed', MANIFEST_NAME), 'utf8');
  expect(JSON.parse(manifest)).toEqual(expected);
  const [one, other] = ['undisturbed', 'killed'].map((name) => models.path(name, 'model.safetensors'));
  expect(await readFile(other ?? '')).toEqual(await readFile(one ?? ''));
  expect((await readdir(models.path('killed'))).sort()).toEqual([
    'config.json',
    'model.safetensors',
    MANIFEST_NAME,
  ]);
});
