/**
 * Which models are loaded, within a budget of memory. A model that nobody uses makes room for one that is asked for,
 * the one that was used longest ago first; one with work under way never does.
 */
import type { Clock } from '../../base/clock.ts';
import type { SaharaError } from '../../base/errors.ts';
import { asSaharaError } from '../../base/errors.ts';
import { CONTEXTS_MAX } from './limits.ts';
import type { ContextKey, GpuChoice, ReadyMessage } from './messages.ts';
import { createModelHost, type ModelHost, type ModelHostOptions } from './model-host.ts';
import type { Room } from './scheduler.ts';

/** A model file that was looked through. */
export interface ModelSource {
  readonly path: string;
  /** SHA-256 of the file. */
  readonly digest: Uint8Array;
  readonly facts: {
    readonly weightsBytes: number;
    readonly cacheBytesPerToken: number;
    readonly contextMax: number;
    readonly quantisation: string;
  };
}

/** Where a request runs. */
export interface ModelPlace {
  readonly model: ModelSource;
  readonly key: ContextKey;
  /** What the context is for, where it is not for answers. */
  readonly use?: 'embed' | 'rank';
}

/** How models are loaded. */
export interface RoomOptions {
  /** Where they compute. Default `auto`. */
  readonly gpu: GpuChoice;
  /** Threads of each. Default: half of the logical processors, at least 1. */
  readonly threads: number;
  /** Memory for all models and contexts together, bytes: of the graphics processors if they compute there. Default: half of the machine's. */
  readonly memoryBytes: number;
}

/** A loaded model. */
export interface LoadedModel {
  readonly path: string;
  readonly bytes: number;
  readonly running: number;
  readonly contexts: number;
  readonly state: 'loading' | 'ready';
  readonly ready: ReadyMessage | undefined;
  readonly host: ModelHost;
}

/** What a host takes besides the model. */
const HOST_BYTES = 200_000_000;
/** What a host may take above the budget before it ends itself. */
const HOST_MARGIN_BYTES = 1_000_000_000;

/** How long a model that was just loaded waits for its first request, milliseconds. */
const KEPT_MS = 5_000;
/** Most models whose hosts are remembered when they are not loaded. */
const HOSTS_MAX = 256;

interface Context {
  running: number;
  readonly bytes: number;
}

interface Loaded {
  readonly source: ModelSource;
  readonly host: ModelHost;
  /** In the order of their last use. */
  readonly contexts: Map<string, Context>;
  running: number;
  ready: ReadyMessage | undefined;
  /** Not unloaded before this time, though nothing runs. */
  keptUntilMs: number;
}

/** Bytes that a context takes. */
export function contextBytes({ model, key }: ModelPlace): number {
  return key.sequences * key.tokens * model.facts.cacheBytesPerToken;
}

/** Bytes that a model takes without its contexts. */
export function modelBytes({ facts }: ModelSource): number {
  return facts.weightsBytes + HOST_BYTES;
}

/** Loaded models as room for requests. */
export class ModelRoom implements Room<ModelPlace> {
  readonly #clock: Clock;
  readonly #options: RoomOptions & Partial<ModelHostOptions>;
  readonly #events: {
    /** There may be room. */
    changed(): void;
    /** A model cannot be loaded. */
    failed(path: string, error: SaharaError): void;
  };
  /** In the order of their last use. */
  readonly #loaded = new Map<string, Loaded>();
  /** Of models that are loaded or were: what a host has learnt of its deaths outlives them. */
  readonly #hosts = new Map<string, ModelHost>();
  /** Bytes of models that are being unloaded. */
  #leavingBytes = 0;
  /** The place that room is being made for: nothing else may begin in this round. */
  #claim: string | undefined;

  constructor(
    parts: {
      readonly clock: Clock;
      changed(): void;
      failed(path: string, error: SaharaError): void;
    },
    options: RoomOptions & Partial<ModelHostOptions>,
  ) {
    this.#clock = parts.clock;
    this.#events = parts;
    this.#options = options;
  }

  /** Loaded models, the one used longest ago first. */
  get models(): readonly LoadedModel[] {
    return [...this.#loaded].map(([path, { source, host, contexts, running, ready }]) => ({
      path,
      bytes: bytesOf(source, contexts),
      running,
      contexts: contexts.size,
      state: ready === undefined ? 'loading' : 'ready',
      ready,
      host,
    }));
  }

  /** The host of a place that was taken. */
  hostOf({ model }: ModelPlace): ModelHost {
    return this.#use(model).host;
  }

  begin(): void {
    this.#claim = undefined;
  }

  take(place: ModelPlace, { urgent }: { readonly urgent: boolean }): boolean {
    const { path } = place.model;
    const name = `${path} ${nameOf(place)}`;
    if (this.#claim !== undefined && this.#claim !== name) return false;
    const known = this.#loaded.get(path);
    if (known === undefined) {
      if (this.#free(modelBytes(place.model) + contextBytes(place), path)) this.#load(place);
      else if (urgent) this.#claim = name;
      return false;
    }
    if (known.ready === undefined) return false;
    const context = this.#contextOf(known, place);
    if (context === undefined) {
      if (urgent) this.#claim = name;
      // Its own contexts are in the way: it is loaded anew with this one, when nothing runs in them.
      if (known.running === 0 && known.keptUntilMs <= this.#clock.monotonicMs()) this.#unload(path, known);
      return false;
    }
    if (context.running >= place.key.sequences) return false;
    context.running++;
    known.running++;
    this.#loaded.delete(path);
    this.#loaded.set(path, known);
    known.keptUntilMs = 0;
    return true;
  }

  give(place: ModelPlace): void {
    const loaded = this.#loaded.get(place.model.path);
    const context = loaded?.contexts.get(nameOf(place));
    if (loaded === undefined || context === undefined) return;
    context.running--;
    loaded.running--;
  }

  /** Ends all hosts. */
  async close(): Promise<void> {
    const hosts = [...this.#loaded.values()].map(({ host }) => host);
    this.#loaded.clear();
    await Promise.all(hosts.map((host) => host.unload()));
  }

  #contextOf({ contexts }: Loaded, place: ModelPlace): Context | undefined {
    const name = nameOf(place);
    const known = contexts.get(name);
    if (known !== undefined) {
      contexts.delete(name);
      contexts.set(name, known);
      return known;
    }
    // The host gives up the same one: both keep the order of use.
    const [idle, given] =
      contexts.size < CONTEXTS_MAX ? [] : ([...contexts].find(([, { running }]) => running === 0) ?? []);
    if (contexts.size >= CONTEXTS_MAX && idle === undefined) return undefined;
    const bytes = contextBytes(place);
    if (!this.#free(bytes - (given?.bytes ?? 0), place.model.path)) return undefined;
    if (idle !== undefined) contexts.delete(idle);
    const context = { running: 0, bytes };
    contexts.set(name, context);
    return context;
  }

  #use(source: ModelSource): Loaded {
    const known = this.#loaded.get(source.path);
    if (known !== undefined) return known;
    const host = this.#hosts.get(source.path) ?? this.#createHost(source);
    const loaded: Loaded = {
      source,
      host,
      contexts: new Map(),
      running: 0,
      ready: undefined,
      keptUntilMs: 0,
    };
    this.#loaded.set(source.path, loaded);
    return loaded;
  }

  #createHost({ path }: ModelSource): ModelHost {
    const { gpu, threads, memoryBytes, ...options } = this.#options;
    const load = { path, gpu, threads, memoryBytesMax: memoryBytes + HOST_MARGIN_BYTES };
    const host = createModelHost(load, { clock: this.#clock }, options);
    this.#hosts.set(path, host);
    for (const old of this.#hosts.keys()) {
      if (this.#hosts.size <= HOSTS_MAX) break;
      if (!this.#loaded.has(old) && old !== path) this.#hosts.delete(old);
    }
    return host;
  }

  #load(place: ModelPlace): void {
    const { path } = place.model;
    const loaded = this.#use(place.model);
    loaded.contexts.set(nameOf(place), { running: 0, bytes: contextBytes(place) });
    loaded.host.ready().then(
      (ready) => {
        loaded.ready = ready;
        // Whoever it was loaded for comes first, or two would unload each other's for ever.
        loaded.keptUntilMs = this.#clock.monotonicMs() + KEPT_MS;
        this.#events.changed();
      },
      (error: unknown) => {
        if (this.#loaded.get(path) === loaded) this.#loaded.delete(path);
        this.#events.failed(path, asSaharaError(error));
        this.#events.changed();
      },
    );
  }

  /** Whether `bytes` more fit, now; what nobody uses is unloaded for it, except `kept`. */
  #free(bytes: number, kept: string): boolean {
    const used = (): number =>
      [...this.#loaded.values()].reduce((sum, { source, contexts }) => sum + bytesOf(source, contexts), 0);
    const { memoryBytes } = this.#options;
    const nowMs = this.#clock.monotonicMs();
    const idle = [...this.#loaded].filter(
      ([path, { running, ready, keptUntilMs }]) =>
        path !== kept && running === 0 && ready !== undefined && keptUntilMs <= nowMs,
    );
    const freed = idle.reduce((sum, [, { source, contexts }]) => sum + bytesOf(source, contexts), 0);
    // Nothing is unloaded in vain.
    if (used() - freed + bytes > memoryBytes) return false;
    for (const [path, loaded] of idle) if (used() + bytes > memoryBytes) this.#unload(path, loaded);
    // What is being unloaded still holds its memory; `changed` comes when it does not.
    return used() + this.#leavingBytes + bytes <= memoryBytes;
  }

  #unload(path: string, loaded: Loaded): void {
    const bytes = bytesOf(loaded.source, loaded.contexts);
    this.#leavingBytes += bytes;
    this.#loaded.delete(path);
    void loaded.host.unload().finally(() => {
      this.#leavingBytes -= bytes;
      this.#events.changed();
    });
  }
}

function bytesOf(source: ModelSource, contexts: ReadonlyMap<string, Context>): number {
  return [...contexts.values()].reduce((sum, { bytes }) => sum + bytes, modelBytes(source));
}

function nameOf({ key: { adapters, tokens, sequences }, use }: ModelPlace): string {
  return JSON.stringify([use ?? '', tokens, sequences, adapters.map(({ path, scale }) => [path, scale])]);
}
