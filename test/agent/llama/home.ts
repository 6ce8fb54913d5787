import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLlamaEngine, type EngineOptions, type LlamaEngine } from '../../../src/agent/llama/engine.ts';
import { checkGguf } from '../../../src/agent/llama/gguf-check.ts';
import type { ModelSource } from '../../../src/agent/llama/room.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { type WrittenGguf, writeGguf } from './gguf-writer.ts';

/** A folder with models and an engine that runs them on one thread. */
export interface ModelHome {
  readonly engine: LlamaEngine;
  add(name: string, gguf: WrittenGguf): Promise<ModelSource>;
  close(): Promise<void>;
}

/** Makes one; it must be closed. */
export async function openModelHome(options: Partial<EngineOptions> = {}): Promise<ModelHome> {
  const folder = await mkdtemp(join(tmpdir(), 'sahara-models-'));
  const engine = createLlamaEngine(
    { clock: systemClock },
    { gpu: 'none', threads: 1, memoryBytes: 2e9, ...options },
  );
  return {
    engine,
    add: async (name, gguf) => {
      const path = await writeGguf(join(folder, `${name}.gguf`), gguf);
      const { digest, facts } = await checkGguf(path, { signal: new AbortController().signal });
      return { path, digest, facts };
    },
    close: async () => {
      await engine.close();
      await rm(folder, { recursive: true });
    },
  };
}
