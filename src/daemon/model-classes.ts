/**
 * Determinism classes that models were found to have here, kept from start to start: what computes and with which
 * library shows only in a loaded model, and loading takes as long as a model is large. A class is believed while
 * everything that it can depend on is as it was: library, processor, drivers, how models are to be run, and the rules
 * by which they are.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { STEP_RULES } from '../agent/llama/step-rules.ts';
import { fromUtf8, utf8 } from '../base/bytes.ts';
import type { Store } from '../base/store.ts';

/** Classes by the digest of the model. */
export interface ModelClasses {
  /** The class that a model had, if nothing has changed since. */
  get(digest: Uint8Array): Promise<string | undefined>;
  set(digest: Uint8Array, runtime: string): Promise<void>;
}

/** The classes in `store`. `settings` is whatever else of the configuration a class depends on. */
export function createModelClasses(store: Store, settings: string): ModelClasses {
  // Once a start: what is put in while the daemon runs is seen by the next.
  const machine = machineMark(settings);
  return {
    async get(digest) {
      const kept = await store.get(digest);
      const [mark, ...runtime] = (kept === undefined ? '' : (fromUtf8(kept) ?? '')).split('\n');
      return machine !== undefined && mark === machine ? runtime.join('\n') : undefined;
    },
    async set(digest, runtime) {
      if (machine === undefined) return;
      await store.batch([{ type: 'put', key: digest, value: utf8(`${machine}\n${runtime}`) }]);
    },
  };
}

/** Files that tell which drivers there are, by what they say or by their being there. */
const DRIVERS = ['/proc/driver/nvidia/version', '/sys/module/nvidia/version', '/sys/module/amdgpu/version'];
const DEVICES = ['/dev/nvidiactl', '/dev/dri', '/dev/kfd'];

/** What a class can depend on beside the model, as a hash; `undefined` where the library is not installed. */
function machineMark(settings: string): string | undefined {
  const library = libraryVersion();
  if (library === undefined) return undefined;
  const parts = [
    library,
    settings,
    String(STEP_RULES),
    process.platform,
    process.arch,
    cpus()[0]?.model ?? '',
    ...DRIVERS.map((path) => (existsSync(path) ? readFileSync(path, 'utf8') : '')),
    ...DEVICES.map((path) => String(existsSync(path))),
  ];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

/** The version of the library, without loading any of it. */
function libraryVersion(): string | undefined {
  try {
    // The entry is `dist/index.js` of the package.
    const url = new URL('../package.json', import.meta.resolve('node-llama-cpp'));
    return readFileSync(url, 'utf8');
  } catch {
    return undefined;
  }
}
