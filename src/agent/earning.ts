/** The assets that a manifest lets earn beside the agent's own. */
import type { PpmShare } from './attribution/apportion.ts';
import type { Manifest } from './manifest.ts';
import type { LlamaManifest } from './manifest-llama.ts';

/** The model's asset, and the adapters that earn with their declared parts. */
export function earningAssets({ backend }: Pick<Manifest, 'backend'>): {
  readonly model: Uint8Array | undefined;
  readonly adapters: readonly PpmShare[];
} {
  if (backend.kind !== 'llama') return { model: undefined, adapters: [] };
  const adapters = backend.adapters.flatMap(({ asset, part }) =>
    asset === undefined || part === 0 ? [] : [{ asset, ppm: part }],
  );
  return { model: backend.asset, adapters };
}

/** Positions of the adapters that earn among all of a model's. */
export function earningPositions({ adapters }: Pick<LlamaManifest, 'adapters'>): readonly number[] {
  return adapters.flatMap(({ asset, part }, i) => (asset === undefined || part === 0 ? [] : [i]));
}
