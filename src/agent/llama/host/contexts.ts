/**
 * The contexts of one model. Adapters belong to a context, so there is one for each set of adapters with scales; the
 * one that was used longest ago makes room when it is idle.
 */
import type { LlamaContext, LlamaModel } from 'node-llama-cpp';
import { asSaharaError, SaharaError } from '../../../base/errors.ts';
import { CONTEXTS_MAX, PROMPT_TOKENS_ALONE } from '../limits.ts';
import type { ContextKey, HostStats } from '../messages.ts';
import { Lockstep, type LockstepCount } from './lockstep.ts';

interface Held {
  readonly context: LlamaContext;
  readonly lockstep: Lockstep;
}

/** The contexts of `model`; `stepped` is called after each step of any. */
export class Contexts {
  readonly #model: LlamaModel;
  readonly #threads: number;
  readonly #stepped: () => void;
  /** In the order of their last use. */
  readonly #held = new Map<string, Promise<Held>>();
  readonly #ready = new Map<string, Held>();
  readonly #count: LockstepCount = { steps: [], lateSteps: 0 };

  constructor(model: LlamaModel, threads: number, stepped: () => void) {
    this.#model = model;
    this.#threads = threads;
    this.#stepped = stepped;
  }

  /** The sequences for `key`. Throws `overloaded` when all contexts are busy, `memory-insufficient`. */
  async of(key: ContextKey): Promise<Lockstep> {
    const name = JSON.stringify([
      key.tokens,
      key.sequences,
      key.adapters.map(({ path, scale }) => [path, scale]),
    ]);
    const known = this.#held.get(name);
    if (known !== undefined) {
      this.#held.delete(name);
      this.#held.set(name, known);
      return (await known).lockstep;
    }
    const made = this.#make(key, name);
    this.#held.set(name, made);
    try {
      return (await made).lockstep;
    } catch (error) {
      this.#held.delete(name);
      throw error;
    }
  }

  /** Contexts now, and the steps of all there were. */
  get count(): Pick<HostStats, 'contexts' | 'steps' | 'lateSteps'> {
    const { steps, lateSteps } = this.#count;
    return { contexts: this.#held.size, steps: Array.from(steps, (n) => n ?? 0), lateSteps };
  }

  async #make(key: ContextKey, name: string): Promise<Held> {
    await this.#makeRoom();
    const adapters = key.adapters.map(({ path, scale }) => ({ filePath: path, scale }));
    try {
      const context = await this.#model.createContext({
        sequences: key.sequences,
        contextSize: key.tokens,
        // All that a step reads has to fit into one batch, or some sequences would wait for the next.
        batchSize: Math.max(2, Math.min(key.tokens * key.sequences, PROMPT_TOKENS_ALONE + key.sequences)),
        threads: this.#threads,
        failedCreationRemedy: false,
        ...(adapters.length > 0 && { lora: { adapters } }),
      });
      const sequences = Array.from({ length: key.sequences }, () => context.getSequence());
      const held = { context, lockstep: new Lockstep(sequences, this.#count, this.#stepped) };
      this.#ready.set(name, held);
      return held;
    } catch (error) {
      const small = error instanceof Error && error.name.includes('InsufficientMemory');
      const { message } = asSaharaError(error);
      throw small
        ? new SaharaError(
            'memory-insufficient',
            { reason: 'The context does not fit into memory' },
            { cause: error },
          )
        : new SaharaError('backend-failed', { backend: 'llama', reason: message }, { cause: error });
    }
  }

  async #makeRoom(): Promise<void> {
    if (this.#held.size < CONTEXTS_MAX) return;
    for (const name of this.#held.keys()) {
      const held = this.#ready.get(name);
      if (held === undefined || !held.lockstep.idle) continue;
      this.#held.delete(name);
      this.#ready.delete(name);
      await held.context.dispose();
      return;
    }
    throw new SaharaError('overloaded', { what: 'contexts of a model', limit: CONTEXTS_MAX });
  }
}
