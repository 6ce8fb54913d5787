import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { checkGguf } from '../../src/agent/llama/gguf-check.ts';
import { type ModelStore, openModelStore } from '../../src/agent/models/store.ts';
import { toHex } from '../../src/base/bytes.ts';
import { systemClock } from '../../src/base/clock.ts';
import { openLevelStore } from '../../src/base/level-store.ts';
import { writeGguf } from '../agent/llama/gguf-writer.ts';
import { noiseModel } from '../agent/llama/models.ts';
import { serve, startFileServer } from '../agent/models/file-server.ts';

const ROUNDS = 12;

/** Runs the writer and kills it after `lines` lines; what it said. */
async function writeAndKill(args: readonly string[], lines: number): Promise<readonly string[]> {
  const program = new URL('./model-writer.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  const said: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    said.push(line);
    if (said.length === lines) child.kill('SIGKILL');
  }
  await exited;
  return said;
}

/** Every name stands for a whole file of its digest, and no file is without a name. */
async function demandWhole(store: ModelStore, folder: string): Promise<readonly string[]> {
  const models = await store.list();
  for (const { name } of models) {
    const { path, digest } = await store.open(name, { signal: new AbortController().signal });
    expect(
      createHash('sha256')
        .update(await readFile(path))
        .digest('hex'),
    ).toBe(toHex(digest));
  }
  const files = (await readdir(folder)).filter((name) => name.endsWith('.gguf')).sort();
  expect(files).toEqual([...new Set(models.map(({ digest }) => `${toHex(digest)}.gguf`))].sort());
  expect((await readdir(join(folder, 'parts'))).length).toBe((await store.unfinished()).length);
  return models.map(({ name }) => name);
}

test('MODEL-40, MODEL-45, MODEL-50: after SIGKILL at any step every name stands for a whole file', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sahara-kill-'));
  const file = await writeGguf(join(folder, 'one.gguf'), noiseModel({ seed: 1, width: 256, layers: 3 }));
  const other = await readFile(
    await writeGguf(join(folder, 'two.gguf'), noiseModel({ seed: 2, width: 256, layers: 3 })),
  );
  const server = await startFileServer((response, asked) => serve(response, asked, other, { etag: '"1"' }));
  const url = `${server.origin}/two.gguf`;
  let went = 0;
  try {
    for (let round = 0; round < ROUNDS; round++) {
      const said = await writeAndKill([folder, file, url], 1 + 4 * round);
      const level = await openLevelStore(join(folder, 'store'));
      const models = join(folder, 'models');
      const store = await openModelStore(
        { clock: systemClock, store: level, check: checkGguf },
        { folder: models, hub: url },
      );
      const names = await demandWhole(store, models);
      for (const name of ['added', 'pulled']) if (said.includes(name)) expect(names).toContain(name);
      if ((await store.unfinished()).some(({ bytes }) => bytes > 0)) went++;
      if (names.includes('pulled')) await store.remove('pulled');
      if (round % 2 === 1 && names.includes('added')) await store.remove('added');
      await level.close();
    }
    // Some of the kills fell into a download, and the next run went on with it.
    expect(went).toBeGreaterThan(0);
    expect(server.asked.some(({ range }) => range !== undefined)).toBe(true);
  } finally {
    await server.close();
    await rm(folder, { recursive: true, force: true });
  }
});
