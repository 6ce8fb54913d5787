import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkGgufHeader } from '../../src/agent/llama/gguf-check.ts';
import { createModelHost } from '../../src/agent/llama/model-host.ts';
import { SAMPLING_DEFAULTS } from '../../src/agent/llama/sampler.ts';
import { systemClock } from '../../src/base/clock.ts';
import { ANSWERING, answering, ENCODING, encoding } from '../agent/llama/families.ts';
import { type WrittenGguf, writeGguf } from '../agent/llama/gguf-writer.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sahara-families-'));
});
afterAll(() => rm(folder, { recursive: true }));

const calm = (): { signal: AbortSignal } => ({ signal: new AbortController().signal });

async function hosting<T>(
  file: WrittenGguf,
  work: (host: ReturnType<typeof createModelHost>) => Promise<T>,
): Promise<T> {
  const path = await writeGguf(join(folder, 'model.gguf'), file);
  await checkGgufHeader(path);
  const host = createModelHost(
    { path, gpu: 'none', threads: 1, memoryBytesMax: 4e9 },
    { clock: systemClock },
  );
  try {
    return await work(host);
  } finally {
    await host.unload();
  }
}

const REQUEST = {
  context: { adapters: [], tokens: 128, sequences: 1 },
  prompt: { kind: 'chat', messages: [{ role: 'user', content: 'x' }] },
  sampling: SAMPLING_DEFAULTS,
  tokensMax: 5,
  stops: [],
} as const;

describe('a model of the family or type', () => {
  test.each(ANSWERING)('MODEL-3, MODEL-6: %s is sound, and llama.cpp answers with it', (name) =>
    hosting(answering(name), async (host) => {
      let said = '';
      for await (const part of host.generate(REQUEST, calm())) if (part.type === 'text') said += part.text;
      expect(said).toBe('yes');
    }),
  );

  test.each(ENCODING)('MODEL-3, MODEL-6: %s is sound, makes vectors, and answers nothing', (name) =>
    hosting(encoding(name), async (host) => {
      const asked = { type: 'embed', tokens: 128, texts: ['bee hive', 'bee hive', 'queen honey'] } as const;
      const [a, b, c] = await host.judge(asked, calm());
      expect(a).toHaveLength(64);
      expect(b).toEqual(a);
      expect(c).not.toEqual(a);
      const ask = async (): Promise<void> => {
        for await (const _ of host.generate(REQUEST, calm()));
      };
      await expect(ask()).rejects.toMatchObject({ code: 'model-invalid' });
    }),
  );
});
