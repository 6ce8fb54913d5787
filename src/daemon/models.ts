/**
 * Models on this machine: their files, and what runs them. No process is started before an agent needs one, so a
 * daemon without such agents never touches the library behind them.
 */
import { availableParallelism } from 'node:os';
import type { Backend } from '../agent/backends/backend.ts';
import { createLlamaBackend, type LlamaBackend } from '../agent/backends/llama.ts';
import type { LocalModel } from '../agent/embedding/local.ts';
import { createLlamaEngine, type EngineTarget, type LlamaEngine } from '../agent/llama/engine.ts';
import { checkGguf } from '../agent/llama/gguf-check.ts';
import { weightOfPrice } from '../agent/llama/price-weight.ts';
import type { ManifestBackend } from '../agent/manifest-backend.ts';
import { type LlamaManifest, LLAMA_DEFAULTS as MANIFEST_DEFAULTS } from '../agent/manifest-llama.ts';
import { demandFit, type FreeMemory, fitOf, memoryNeed } from '../agent/models/estimate.ts';
import type { ModelFacts, StoredModel } from '../agent/models/model.ts';
import { type ModelStore, type OpenModel, openModelStore } from '../agent/models/store.ts';
import { detectMarks, type MarkKey, type MarkReport } from '../agent/watermark/detect.ts';
import { toHex } from '../base/bytes.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import type { PriceSchedule } from '../protocol/card.ts';
import { PPM } from '../protocol/limits.ts';
import { type ModelMade, modelMadeDigest } from '../protocol/model-made.ts';
import { nativeSuite } from '../protocol/suite-native.ts';
import type { LoadedRow, ModelsReport } from './admin/methods-model.ts';
import type { HostedAgentRow } from './admin/types.ts';
import type { Ground } from './core.ts';
import { createModelClasses, type ModelClasses } from './model-classes.ts';

/** Who answers with a model, and how. */
export interface ModelUse {
  /** Name of the agent, whose key marks what it says if its manifest wants that. */
  readonly agent: string;
  readonly wish: LlamaManifest;
  /** What its calls cost, which decides their share of the machine. Default: nothing. */
  readonly price?: PriceSchedule;
}

/** Models on this machine. */
export interface Models {
  readonly store: ModelStore;
  /** Answers that one model makes at a time. */
  readonly sequences: number;
  /** Memory that models can have together just now. */
  readonly free: FreeMemory;
  /**
   * What answers as a manifest says; its model says what it is made of. Loads the model unless one of the same file was
   * loaded on this machine as it is.
   * Errors: `model-unknown`, `model-invalid`, `memory-insufficient`, `backend-missing`, `backend-failed`.
   */
  backend(use: ModelUse, options: { readonly signal: AbortSignal }): Promise<Backend>;
  /** A model that judges texts, with what runs it; nothing is loaded yet. Errors: `model-unknown`, `model-invalid`. */
  judge(name: string, options: { readonly signal: AbortSignal }): Promise<LocalModel>;
  /** An agent's model with about how much memory it needs; `undefined` without one, or where its file is gone. */
  rowOf(backend: ManifestBackend): Promise<HostedAgentRow['model']>;
  /** Holds a text against keys, divided into tokens as the model of this name does. Throws what `backend` throws. */
  detect(
    of: { readonly model: string; readonly text: string; readonly keys: readonly MarkKey[] },
    options: { readonly signal: AbortSignal },
  ): Promise<MarkReport>;
  /** What is loaded and how busy it is. */
  report(): Promise<ModelsReport>;
  /** Why no model runs here, as far as that has shown itself. */
  readonly trouble: SaharaError | undefined;
  close(): Promise<void>;
}

/** Whether what a manifest calls a model is this one: its name, or the first characters of its digest. */
export function answersWith({ name, digest }: StoredModel): (called: string) => boolean {
  const hex = toHex(digest);
  return (called) => called === name || (/^[0-9a-f]{8,64}$/.test(called) && hex.startsWith(called));
}

/** Part of a context, in thousandths of units for tokens, that question and passages may fill; the rest is for the answer. */
const UNITS_PER_1000_TOKENS = 585;

/** Opens the models of `parts.home`. Nothing is loaded. */
export async function openModels(
  parts: Pick<Ground, 'home' | 'clock' | 'dice' | 'config' | 'environment' | 'keys' | 'storeOf'>,
): Promise<Models> {
  const { home, clock, config, environment, storeOf } = parts;
  const { hub } = config.models;
  const hubToken = environment.HF_TOKEN === '' ? undefined : environment.HF_TOKEN;
  const store = await openModelStore(
    { clock, store: storeOf('models'), check: checkGguf },
    { folder: home.models, hub, hubToken },
  );
  const { gpu, sequences } = config.models;
  const settings = JSON.stringify([gpu, sequences, environment.CUDA_VISIBLE_DEVICES ?? '']);
  const classes = createModelClasses(storeOf('model-classes'), settings);
  return new HomeModels(parts, { store, classes });
}

class HomeModels implements Models {
  readonly store: ModelStore;
  readonly sequences: number;
  readonly #budgetBytes: number;
  trouble: SaharaError | undefined;
  readonly #parts: Pick<Ground, 'clock' | 'dice' | 'config' | 'keys'>;
  readonly #names = new Map<string, string>();
  readonly #classes: ModelClasses;
  #engine: LlamaEngine | undefined;

  constructor(
    parts: Pick<Ground, 'clock' | 'dice' | 'config' | 'keys'>,
    { store, classes }: { readonly store: ModelStore; readonly classes: ModelClasses },
  ) {
    const { sequences, memoryMb } = parts.config.models;
    this.#parts = parts;
    this.#classes = classes;
    this.store = store;
    this.sequences = sequences;
    this.#budgetBytes = memoryMb === 0 ? process.availableMemory() : memoryMb * 1e6;
  }

  /** The budget, as far as the machine has it now; loaded models make room for others, so theirs is free too. */
  get free(): FreeMemory {
    const loaded = this.#engine?.models.reduce((sum, { bytes }) => sum + bytes, 0) ?? 0;
    return { ramBytes: Math.min(this.#budgetBytes, process.availableMemory() + loaded), vramBytes: 0 };
  }

  async backend(
    { agent, wish, price }: ModelUse,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<Backend> {
    const { dice, keys } = this.#parts;
    const model = await this.#open(wish.model, 'model', signal);
    const adapters = [];
    for (const { model: name, scale } of wish.adapters) {
      adapters.push({ ...(await this.#open(name, 'adapter', signal)), scale: scale / PPM });
    }
    const context = Math.min(wish.context, model.facts.contextMax);
    const need = { tokens: context, sequences: this.sequences };
    const loaded = { free: this.free, adapters: adapters.map(({ facts }) => facts) };
    demandFit(model.name, need, fitOf(model.facts, need, loaded));
    const local = createLlamaBackend(
      { engine: this.#running(), dice },
      {
        name: nameOf(model, wish),
        model,
        adapters,
        contextTokens: context,
        sequences: this.sequences,
        ...(price !== undefined && { weight: weightOfPrice(price) }),
        sampling: {
          temperature: wish.temperature / PPM,
          topK: wish.topK,
          topP: wish.topP / PPM,
          minP: wish.minP / PPM,
          ...(wish.seed !== undefined && { seed: wish.seed }),
        },
        contextUnitsMax: Math.floor((context * UNITS_PER_1000_TOKENS) / 1000),
        ...(wish.watermark && { watermark: { key: toHex(await keys.agentMark(agent)) } }),
      },
    );
    const known = await this.#classes.get(model.digest);
    const runtime = known ?? (await this.#tried(local.determinismClass({ signal })));
    if (known === undefined) await this.#classes.set(model.digest, runtime);
    const asCarded = this.#asCarded(local, { runtime, seen: known === undefined, digest: model.digest });
    const made: ModelMade = {
      base: model.digest,
      adapters: adapters.map(({ digest }, i) => ({ digest, scale: wish.adapters[i]?.scale ?? 0 })),
      runtime: runtime.slice(0, RUNTIME_MAX),
      marked: wish.watermark,
    };
    return {
      kind: 'llama',
      model: { ...local.model, digest: modelMadeDigest(nativeSuite, made), made },
      async *answer(request, options) {
        await asCarded(options);
        yield* local.answer(request, options);
      },
      score: (request, answer, options) => local.score(request, answer, options),
      close: () => local.close(),
    };
  }

  /**
   * Sees to it, before the first answer, that a model which was not loaded for its card has the class that stands there.
   */
  #asCarded(
    local: LlamaBackend,
    card: { readonly runtime: string; seen: boolean; readonly digest: Uint8Array },
  ): (options: { readonly signal: AbortSignal }) => Promise<void> {
    return async ({ signal }) => {
      if (card.seen) return;
      const found = await this.#tried(local.determinismClass({ signal }));
      if (found !== card.runtime) {
        await this.#classes.set(card.digest, found);
        const reason = `what computes here is not what the card says any more (${found}); the next start says so`;
        throw new SaharaError('backend-failed', { backend: 'llama', reason });
      }
      card.seen = true;
    };
  }

  async judge(name: string, { signal }: { readonly signal: AbortSignal }): Promise<LocalModel> {
    return { model: await this.#open(name, 'model', signal), engine: this.#running() };
  }

  async rowOf(backend: ManifestBackend): Promise<HostedAgentRow['model']> {
    if (backend.kind !== 'llama') return undefined;
    const known = await this.store.list();
    const factsOf = (name: string): ModelFacts | undefined =>
      known.find((model) => answersWith(model)(name))?.facts;
    const facts = factsOf(backend.model);
    if (facts === undefined) return undefined;
    const adapters = backend.adapters.flatMap(({ model }) => factsOf(model) ?? []);
    const tokens = Math.min(backend.context, facts.contextMax);
    const { totalBytes } = memoryNeed(facts, { tokens, sequences: this.sequences }, adapters);
    return { name: backend.model, needBytes: totalBytes };
  }

  async detect(
    { model: name, text, keys }: Parameters<Models['detect']>[0],
    { signal }: { readonly signal: AbortSignal },
  ): Promise<MarkReport> {
    const model = await this.#open(name, 'model', signal);
    const tokens = Math.min(MANIFEST_DEFAULTS.context, model.facts.contextMax);
    const target: EngineTarget = {
      model,
      adapters: [],
      context: { tokens, sequences: this.sequences },
      payer: '',
      weight: 1,
    };
    return detectMarks(await this.#tried(this.#running().tokenize(target, text, { signal })), keys);
  }

  async report(): Promise<ModelsReport> {
    const engine = this.#engine;
    if (engine === undefined) return { loaded: [], queued: 0, running: 0 };
    const { queued, running, tokensPerSecond } = engine.load;
    const loaded = await Promise.all(
      engine.models.map(
        async ({ path, bytes, contexts, running: busy, state, ready, host }): Promise<LoadedRow> => {
          const stats = await host.stats().catch(() => undefined);
          return {
            name: this.#names.get(path) ?? '',
            state,
            bytes,
            contexts,
            running: busy,
            ...(ready !== undefined && { gpu: ready.gpu, devices: ready.devices, build: ready.build }),
            ...(stats !== undefined && { tokens: stats.tokens, memoryBytes: stats.memoryBytes }),
          };
        },
      ),
    );
    return { loaded, queued, running, ...(tokensPerSecond !== undefined && { tokensPerSecond }) };
  }

  async close(): Promise<void> {
    await this.#engine?.close();
  }

  async #open(name: string, kind: 'model' | 'adapter', signal: AbortSignal): Promise<OpenModel> {
    const found = await this.store.open(name, { signal });
    if (found.facts.kind !== kind) {
      const reason = `It is ${found.facts.kind === 'model' ? 'a model' : 'an adapter'}, and ${kind === 'model' ? 'a model' : 'an adapter'} is needed there`;
      throw new SaharaError('model-invalid', { name, reason, advice: 'See `sahara model list`' });
    }
    this.#names.set(found.path, found.name);
    return found;
  }

  #running(): LlamaEngine {
    const { clock, config } = this.#parts;
    const { gpu, threads } = config.models;
    this.#engine ??= createLlamaEngine(
      { clock },
      {
        gpu,
        threads: threads === 0 ? Math.max(1, availableParallelism() - 1) : threads,
        memoryBytes: this.#budgetBytes,
      },
    );
    return this.#engine;
  }

  /** Remembers why models do not run here. */
  async #tried<T>(work: Promise<T>): Promise<T> {
    try {
      const done = await work;
      this.trouble = undefined;
      return done;
    } catch (error) {
      const failure = asSaharaError(error);
      if (failure.code === 'backend-missing') this.trouble = failure;
      throw error;
    }
  }
}

/** Most bytes of a determinism class in a card. */
const RUNTIME_MAX = 200;

/** `qwen + red x 0.6`. */
function nameOf(model: OpenModel, { adapters }: LlamaManifest): string {
  return [model.name, ...adapters.map(({ model: name, scale }) => `${name} x ${scale / PPM}`)].join(' + ');
}
