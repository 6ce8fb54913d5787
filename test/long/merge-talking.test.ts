import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { askModel, type Talker, talk } from '../../examples/merge/ask-model.ts';
import { makeTalkingModels, WHOLE_ANSWER } from '../../examples/merge/talking-models.ts';
import { systemClock } from '../../src/base/clock.ts';
import { bakeAdapter } from '../../src/merge/adapters/bake.ts';
import { extractAdapter } from '../../src/merge/adapters/extract.ts';
import { readGgufLora, writeGgufLora } from '../../src/merge/adapters/gguf-lora.ts';
import { mergeAdapters } from '../../src/merge/adapters/merge-adapters.ts';
import { mergeAdaptersBy } from '../../src/merge/adapters/merge-sparse.ts';
import { runMerge } from '../../src/merge/run.ts';
import { plan } from '../merge/models.ts';

const PAIR = `
models:
  - { model: law, parameters: { weight: 0.6 } }
  - { model: medicine, parameters: { weight: 0.4 } }
`;

let root = '';
let talker: Talker;
const at = (...parts: string[]): string => join(root, ...parts);

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'sahara-talking-'));
  await makeTalkingModels(root);
  talker = talk();
});
afterAll(async () => {
  await talker?.close();
  await rm(root, { recursive: true, force: true });
});

async function said(model: string, ...adapters: readonly string[]): Promise<string> {
  return (await askModel(talker, { model, adapters })).text;
}

describe('MRG-26: merged GGUF in llama.cpp', { timeout: 300_000 }, () => {
  it('knows what both parents know, in plain types and blocks', async () => {
    expect(await said(at('base', 'model.gguf'))).toBe('Nobody can say.');
    expect(await said(at('law', 'model.gguf'))).toBe('A contract binds both sides.');
    expect(await said(at('medicine', 'model.gguf'))).toBe('Nobody can say.');
    for (const dtype of ['bfloat16', 'q8_0', 'q4_1']) {
      const recipe = `merge_method: linear${PAIR}out_dtype: ${dtype}\n`;
      const output = at(dtype);
      await runMerge(await plan(root, recipe), { output }, { clock: systemClock });
      expect([dtype, await said(join(output, 'model.gguf'))]).toEqual([dtype, WHOLE_ANSWER]);
    }
  });
});

describe('MRG-36, MRG-37: adapters in llama.cpp', { timeout: 300_000 }, () => {
  it('are extracted, merged, written as GGUF and put on, or baked in, to the same answer', async () => {
    const base = at('base');
    const [law, medicine] = await Promise.all(
      ['law', 'medicine'].map(async (name) => {
        const modules = (module: string): boolean => module === 'output';
        const { adapter } = await extractAdapter({ base, tuned: at(name), rank: 2, modules });
        await writeGgufLora(at(`${name}.gguf`), adapter);
        return readGgufLora(at(`${name}.gguf`));
      }),
    );
    if (!law || !medicine) throw new Error('no adapters');
    const model = join(base, 'model.gguf');
    expect(await said(model, at('law.gguf'))).toBe('A contract binds both sides.');
    const parents = [
      { adapter: law, weight: 0.6 },
      { adapter: medicine, weight: 0.4 },
    ];
    const exact = mergeAdapters(parents).adapter;
    const voted = await mergeAdaptersBy(parents, { method: 'ties', rank: 4 });
    for (const [name, adapter] of Object.entries({ exact, voted: voted.adapter })) {
      await writeGgufLora(at(`${name}.gguf`), adapter);
      expect([name, await said(model, at(`${name}.gguf`))]).toEqual([name, WHOLE_ANSWER]);
    }
    await bakeAdapter({ model: base, adapter: exact, output: at('baked') });
    expect(await said(at('baked', 'model.gguf'))).toBe(WHOLE_ANSWER);
  });
});
