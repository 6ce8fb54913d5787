/** What `doctor` says of models on this machine: what computes, why not a graphics processor, and what to install. */
import { existsSync } from 'node:fs';
import { explainError } from '../base/error-text.ts';
import type { Finding } from './admin/types.ts';
import type { Config } from './config-schema.ts';
import { graphicsPlaces, missingForCuda } from './graphics.ts';
import type { Models } from './models.ts';

/** The one line that brings the library. */
const INSTALL = 'npm install node-llama-cpp@3';

/** The finding about models. Loads nothing. */
export async function findModels(models: Models, config: Config['models']): Promise<Finding> {
  const name = 'models';
  const files = (await models.store.list()).length;
  const { trouble } = models;
  if (trouble !== undefined) {
    const next = withoutBinary(config.gpu);
    return { name, state: 'fault', found: explainError(trouble), next };
  }
  const { loaded } = await models.report();
  const ready = loaded.find(({ build }) => build !== undefined);
  if (ready !== undefined) {
    const { build = '', gpu = 'none', devices = [] } = ready;
    const found = `${files} here; llama.cpp ${build} on ${gpu === 'none' ? 'the processor' : `${gpu} (${devices.join(', ')})`}`;
    if (gpu !== 'none' || config.gpu === 'none') return { name, state: 'ok', found };
    const [why, next] = noGraphics();
    return { name, state: 'note', found: `${found}: ${why}`, ...(next !== undefined && { next }) };
  }
  if (isInstalled()) {
    const found = `${files} here, none loaded: a model is when an agent needs it`;
    const wanted = config.gpu === 'auto' || config.gpu === 'cuda';
    const missing = wanted && process.arch === 'x64' ? missingForCuda(graphicsPlaces()) : undefined;
    if (missing === undefined) return { name, state: 'ok', found };
    return { name, state: 'note', found: `${found}; ${missing.why}`, next: missing.next };
  }
  const found = `${files} here; node-llama-cpp, which runs them, is not installed`;
  if (files === 0) return { name, state: 'ok', found };
  return { name, state: 'note', found, next: `${INSTALL}, where this program is installed.` };
}

/** Whether the library is there, without loading any of it. */
function isInstalled(): boolean {
  try {
    import.meta.resolve('node-llama-cpp');
    return true;
  } catch {
    return false;
  }
}

/** What to do where nothing of the library runs. */
function withoutBinary(gpu: Config['models']['gpu']): string {
  if (!isInstalled() || gpu === 'none' || gpu === 'auto') {
    return `${INSTALL}, where this program is installed, brings what models need.`;
  }
  return noGraphics()[1] ?? 'With models.gpu: auto models run on what there is, here the processor.';
}

/** Why no graphics processor is used, as far as it shows, and what to do. */
function noGraphics(): readonly [why: string, next: string | undefined] {
  const missing = process.arch === 'x64' ? missingForCuda(graphicsPlaces()) : undefined;
  if (missing !== undefined) return [missing.why, missing.next];
  const binaries = `@node-llama-cpp/${process.platform === 'win32' ? 'win' : 'linux'}-x64`;
  if (existsSync('/proc/driver/nvidia/version')) {
    return [
      'an NVIDIA driver is here, but no CUDA binary of node-llama-cpp loads',
      `Install ${binaries}-cuda of its version and the CUDA 13 runtime (or ${binaries}-cuda-ext and CUDA 12), then start again.`,
    ];
  }
  if (existsSync('/dev/dri')) {
    return [
      'there may be a graphics processor, but no Vulkan binary of node-llama-cpp loads',
      `Install libvulkan1 and ${binaries}-vulkan of its version, then start again.`,
    ];
  }
  return ['no graphics processor shows itself', undefined];
}
