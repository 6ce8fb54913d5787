/** What answers for an agent of this home, by its manifest: passages of its vaults, a model, or other agents. */
import { createVaultAnswerer } from '../agent/answerer.ts';
import { type AdapterMeasure, MEASURE_MS_MAX } from '../agent/attribution/measure.ts';
import type { AgentAssets } from '../agent/attribution/shares.ts';
import type { Backend } from '../agent/backends/backend.ts';
import { createExtractiveBackend } from '../agent/backends/extractive.ts';
import { createOpenAiBackend } from '../agent/backends/openai.ts';
import { createDelegateAnswerer, DELEGATE_MODEL } from '../agent/delegate.ts';
import { earningAssets, earningPositions } from '../agent/earning.ts';
import type { Manifest } from '../agent/manifest.ts';
import type { Answerer } from '../agent/ports.ts';
import { createToolKit } from '../agent/tools/toolkit.ts';
import { utf8 } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import type { ModelInfo } from '../protocol/card.ts';
import { nativeSuite } from '../protocol/suite-native.ts';
import type { Vault } from '../vault/vault.ts';
import type { Ground } from './core.ts';
import type { Models } from './models.ts';
import { withAccess } from './vault-access.ts';

/** An answerer with what stands behind it. */
export interface Answering {
  readonly answerer: Answerer;
  readonly model: ModelInfo;
  close(): Promise<void>;
}

/** What an agent answers from. */
export interface AnsweringParts extends Pick<Ground, 'clock' | 'environment'> {
  readonly models: Models;
  readonly vaults: readonly Vault[];
  /** The agent's own asset. */
  readonly asset: Uint8Array;
}

/** What answers for the agent of `manifest`. Throws `token-missing`. */
export async function answeringOf(
  manifest: Manifest,
  parts: AnsweringParts,
  options: { readonly signal: AbortSignal },
): Promise<Answering> {
  const { asset, vaults } = parts;
  if (manifest.backend.kind === 'delegate') {
    const model = {
      name: DELEGATE_MODEL,
      digest: nativeSuite.sha256(utf8(DELEGATE_MODEL)),
      determinism: 'none',
    } as const;
    const answerer = createDelegateAnswerer({ delegates: manifest.backend.ask, asset });
    return { answerer, model, close: async () => {} };
  }
  const backend = await backendOf({ name: manifest.name, backend: manifest.backend }, parts, options);
  const tools = manifest.tools.length === 0 ? undefined : createToolKit(manifest.tools, parts);
  const measure = measureOf(manifest, parts);
  const answerer = withAccess(
    createVaultAnswerer(
      { backend, vaults },
      {
        split: manifest.split,
        assets: assetsOf(manifest, asset),
        ...(tools && { tools }),
        ...(measure && { measure }),
        ...(manifest.prompt !== undefined && { prompt: manifest.prompt }),
      },
    ),
    { vaults, agent: manifest.name, clock: parts.clock },
  );
  const close = async (): Promise<void> => {
    await Promise.all([backend.close(), tools?.close()]);
  };
  return { answerer, model: backend.model, close };
}

/** The assets that earn: with a model on this machine those that its manifest names too. */
function assetsOf(manifest: Manifest, agent: Uint8Array): AgentAssets {
  const { model, adapters } = earningAssets(manifest);
  return { agent, adapters, ...(model !== undefined && { model }) };
}

/** How adapters are measured, where the manifest asks for it. */
function measureOf({ backend }: Manifest, { clock }: Pick<Ground, 'clock'>): AdapterMeasure | undefined {
  if (backend.kind !== 'llama' || backend.adapterParts === undefined) return undefined;
  return { clock, adapters: earningPositions(backend), withinMs: MEASURE_MS_MAX };
}

async function backendOf(
  of: { readonly name: string; readonly backend: Exclude<Manifest['backend'], { kind: 'delegate' }> },
  { clock, environment, models }: AnsweringParts,
  options: { readonly signal: AbortSignal },
): Promise<Backend> {
  const { name, backend } = of;
  if (backend.kind === 'llama') return models.backend({ agent: name, wish: backend }, options);
  if (backend.kind === 'extractive') {
    const { sentencesMax, supportMin } = backend;
    return createExtractiveBackend({ sentencesMax, supportMin });
  }
  const { endpoint, model, keyVariable, seeded, contextUnitsMax } = backend;
  const apiKey = keyVariable === undefined ? undefined : environment[keyVariable];
  if (keyVariable !== undefined && !apiKey) throw new SaharaError('token-missing', { variable: keyVariable });
  const access = apiKey === undefined ? { clock } : { clock, apiKey };
  return createOpenAiBackend(access, { endpoint, model, seeded, contextUnitsMax });
}
