/** What answers for an agent of this home, by its manifest: passages of its vaults, a model, or other agents. */
import { createVaultAnswerer } from '../agent/answerer.ts';
import type { Backend } from '../agent/backends/backend.ts';
import { createExtractiveBackend } from '../agent/backends/extractive.ts';
import { createOpenAiBackend } from '../agent/backends/openai.ts';
import { createDelegateAnswerer, DELEGATE_MODEL } from '../agent/delegate.ts';
import type { Manifest } from '../agent/manifest.ts';
import type { Answerer } from '../agent/ports.ts';
import { utf8 } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import type { ModelInfo } from '../protocol/card.ts';
import { nativeSuite } from '../protocol/suite-native.ts';
import type { Corpus } from '../vault/search/search.ts';
import type { Ground } from './core.ts';

/** An answerer with what stands behind it. */
export interface Answering {
  readonly answerer: Answerer;
  readonly model: ModelInfo;
  close(): Promise<void>;
}

/** What an agent answers from. */
export interface AnsweringParts extends Pick<Ground, 'clock' | 'environment'> {
  readonly vaults: readonly Corpus[];
  /** The agent's own asset. */
  readonly asset: Uint8Array;
}

/** What answers for the agent of `manifest`. Throws `token-missing`. */
export function answeringOf(manifest: Manifest, parts: AnsweringParts): Answering {
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
  const backend = backendOf(manifest.backend, parts);
  const answerer = createVaultAnswerer(
    { backend, vaults },
    {
      split: manifest.split,
      assets: { agent: asset },
      ...(manifest.prompt !== undefined && { prompt: manifest.prompt }),
    },
  );
  return { answerer, model: backend.model, close: () => backend.close() };
}

function backendOf(
  backend: Exclude<Manifest['backend'], { kind: 'delegate' }>,
  { clock, environment }: AnsweringParts,
): Backend {
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
