/**
 * What a model will need before anything of it is loaded: weights, keys and values of its contexts, and room to compute.
 * A model that cannot fit is refused with what would, rather than left to be killed by the system.
 */
import { SaharaError } from '../../base/errors.ts';
import type { ModelFacts } from './model.ts';

/** Contexts that a model is to hold. */
export interface ContextWish {
  /** Tokens of each sequence. */
  readonly tokens: number;
  /** Sequences at once. */
  readonly sequences: number;
}

/** Memory that is there, bytes. */
export interface FreeMemory {
  /** What this process and its children may still take. */
  readonly ramBytes: number;
  /** Of the graphics processors that would be used; 0 without one. */
  readonly vramBytes: number;
}

/** What a model with its contexts needs, bytes. */
export interface MemoryNeed {
  readonly weightsBytes: number;
  /** Keys and values of all tokens of all sequences. */
  readonly cacheBytes: number;
  /** Room for one step, and the process around it. */
  readonly workBytes: number;
  readonly totalBytes: number;
}

/** Whether it fits, and if not what would. */
export interface Fit {
  readonly fits: boolean;
  /** Where it would be: all on graphics processors, all in main memory, or partly here and there. */
  readonly where: 'gpu' | 'ram' | 'both';
  readonly need: MemoryNeed;
  readonly freeBytes: number;
  /** Most tokens of context that fit with these sequences; 0 when not even the weights do. */
  readonly contextMax: number;
}

/** Tokens that llama.cpp computes in one go. */
const STEP_TOKENS = 512;
/** Process and library, bytes. */
const PROCESS_BYTES = 150_000_000;
/** Part of the free memory that stays free. */
const RESERVE = 0.1;

/** What `model` with `adapters` needs for these contexts. */
export function memoryNeed(
  model: ModelFacts,
  wish: ContextWish,
  adapters: readonly ModelFacts[] = [],
): MemoryNeed {
  const weightsBytes = adapters.reduce((sum, adapter) => sum + adapter.weightsBytes, model.weightsBytes);
  const cacheBytes = model.cacheBytesPerToken * wish.tokens * wish.sequences;
  // Scores of a whole step, and a few streams of the model's width, at four bytes each.
  const workBytes = PROCESS_BYTES + 4 * STEP_TOKENS * (model.vocabulary + 8 * model.embedding);
  return { weightsBytes, cacheBytes, workBytes, totalBytes: weightsBytes + cacheBytes + workBytes };
}

/** Whether that fits into `free`. */
export function fitOf(
  model: ModelFacts,
  wish: ContextWish,
  given: { readonly free: FreeMemory; readonly adapters?: readonly ModelFacts[] },
): Fit {
  const { free, adapters = [] } = given;
  const need = memoryNeed(model, wish, adapters);
  const usable = (bytes: number): number => Math.floor(bytes * (1 - RESERVE));
  const [vram, ram] = [usable(free.vramBytes), usable(free.ramBytes)];
  const where = vram >= need.totalBytes ? 'gpu' : vram === 0 || ram >= need.totalBytes ? 'ram' : 'both';
  const freeBytes = where === 'gpu' ? vram : where === 'ram' ? ram : ram + vram;
  const perToken = Math.max(1, model.cacheBytesPerToken * wish.sequences);
  const left = Math.max(vram, ram, where === 'both' ? freeBytes : 0) - need.weightsBytes - need.workBytes;
  const most = Math.floor(left / perToken);
  const contextMax = Math.max(0, Math.min(most, model.contextMax));
  return { fits: freeBytes >= need.totalBytes, where, need, freeBytes, contextMax };
}

/** Throws `memory-insufficient` with what is needed, what is free and what would fit. */
export function demandFit(name: string, wish: ContextWish, fit: Fit): void {
  if (fit.fits) return;
  const { need, freeBytes, contextMax } = fit;
  const reason = `It needs ${gigabytes(need.totalBytes)} (weights ${gigabytes(need.weightsBytes)}, context ${gigabytes(need.cacheBytes)}) and ${gigabytes(freeBytes)} can be had`;
  const advice =
    contextMax >= CONTEXT_USEFUL
      ? `A context of ${contextMax} tokens fits with ${wish.sequences} at once`
      : `No useful context fits: a model whose weights have at most ${gigabytes(Math.max(0, freeBytes - need.workBytes - need.cacheBytes))} would`;
  throw new SaharaError('memory-insufficient', { model: name, reason, advice });
}

/** Least context that answers can be made in, tokens. */
const CONTEXT_USEFUL = 256;

/** Bytes in the unit that people compare memory in. */
export function gigabytes(bytes: number): string {
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${Math.ceil(bytes / 1e6)} MB`;
}
