/** What answers for an agent of this home, by its manifest: passages of its vaults, a model, or other agents. */
import { createVaultAnswerer } from '../agent/answerer.ts';
import { type AdapterMeasure, MEASURE_MS_MAX } from '../agent/attribution/measure.ts';
import type { AgentAssets } from '../agent/attribution/shares.ts';
import type { Backend } from '../agent/backends/backend.ts';
import { createExtractiveBackend } from '../agent/backends/extractive.ts';
import { createOpenAiBackend } from '../agent/backends/openai.ts';
import { createDelegateAnswerer, DELEGATE_MODEL } from '../agent/delegate.ts';
import { earningAssets, earningPositions } from '../agent/earning.ts';
import { createFinder, type Finder, type FinderParts } from '../agent/embedding/finder.ts';
import type { Manifest } from '../agent/manifest.ts';
import type { Answerer } from '../agent/ports.ts';
import { createToolKit } from '../agent/tools/toolkit.ts';
import { utf8 } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import type { ModelInfo } from '../protocol/card.ts';
import { nativeSuite } from '../protocol/suite-native.ts';
import type { Vault } from '../vault/vault.ts';
import { visibleTo } from '../vault/visible.ts';
import { type AccessParts, mayUse } from './access.ts';
import type { Core, Ground } from './core.ts';
import type { Models } from './models.ts';
import type { AgentSearch, Searching } from './searching.ts';
import { withAccess } from './vault-access.ts';

/** An answerer with what stands behind it. */
export interface Answering {
  readonly answerer: Answerer;
  readonly model: ModelInfo;
  close(): Promise<void>;
}

/** What an agent answers from. */
export interface AnsweringParts
  extends Pick<Ground, 'clock' | 'environment'>,
    Pick<AccessParts, 'ledger' | 'certificates'> {
  readonly operator: Pick<Core['operator'], 'publicKey'>;
  readonly models: Models;
  readonly searching: Searching;
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
  const backend = await backendOf({ ...manifest, backend: manifest.backend }, parts, options);
  const tools = manifest.tools.length === 0 ? undefined : createToolKit(manifest.tools, parts);
  const measure = measureOf(manifest, parts);
  const { search: wish, name: agent } = manifest;
  const search = wish && (await parts.searching.open({ agent, search: wish, vaults }));
  const answerer = withAccess(
    createVaultAnswerer(
      { backend, vaults, finder: finderOf(parts, search) },
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
    await search?.close();
    await Promise.all([backend.close(), tools?.close()]);
  };
  return { answerer, model: backend.model, close };
}

/** Finds what a caller may have, by the labels and grants of the vaults, and the licences on the ledger. */
export function finderOf(
  parts: Pick<AnsweringParts, 'clock' | 'vaults' | 'ledger' | 'certificates' | 'operator'>,
  search?: Pick<AgentSearch, 'models' | 'told'> & {
    /** All is shown, whatever labels say. */
    readonly open?: boolean;
  },
): Finder {
  const { clock, vaults, operator } = parts;
  const deciding = { ...parts, operator: operator.publicKey };
  const licensed = (asset: Uint8Array, caller: Uint8Array): boolean => mayUse(deciding, asset, caller);
  const visible: FinderParts['visible'] = (caller) =>
    vaults.map((vault) => visibleTo(vault, { caller, nowMs: clock.nowMs(), licensed }));
  return createFinder({
    clock,
    vaults,
    ...(search?.open !== true && { visible }),
    ...(search && { models: () => search.models(), told: (model, fault) => search.told(model, fault) }),
  });
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
  of: Pick<Manifest, 'name' | 'price'> & {
    readonly backend: Exclude<Manifest['backend'], { kind: 'delegate' }>;
  },
  { clock, environment, models }: AnsweringParts,
  options: { readonly signal: AbortSignal },
): Promise<Backend> {
  const { name, backend, price } = of;
  if (backend.kind === 'llama') return models.backend({ agent: name, wish: backend, price }, options);
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
