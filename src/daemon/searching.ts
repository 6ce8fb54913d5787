/**
 * The models that help the agents of this home to find passages: opened when an agent wants them, asked again when they
 * are not there, and followed by vectors of the agent's vaults, which are made beside the answers and go on where they
 * were stopped. Nothing here keeps an agent from answering: without its models it finds by words, and its row says so.
 */

import type { SearchModels } from '../agent/embedding/finder.ts';
import { createLocalEmbedder, createLocalReranker } from '../agent/embedding/local.ts';
import { createOpenAiEmbedder } from '../agent/embedding/openai.ts';
import type { ManifestEmbedder, ManifestReranker, ManifestSearch } from '../agent/manifest-search.ts';
import { toHex } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Embedder } from '../vault/search/embedder.ts';
import type { VectorIndex } from '../vault/search/vectors.ts';
import type { Vault } from '../vault/vault.ts';
import type { AgentSearchRow } from './admin/types-agent.ts';
import type { Models } from './models.ts';

/** What search works with. */
export interface SearchingParts {
  readonly models: Pick<Models, 'judge'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** What an agent wants. */
export interface SearchUse {
  readonly agent: string;
  readonly search: ManifestSearch;
  readonly vaults: readonly Vault[];
}

/** The models of one agent. */
export interface AgentSearch {
  /** Those at hand now. */
  models(): SearchModels;
  /** Takes note of what a model did. */
  told(model: Kind, fault: SaharaError | undefined): void;
  /** Stops what is under way for it. */
  close(): Promise<void>;
}

/** Models that help to find passages. */
export interface Searching {
  /** Begins to make vectors; resolves when it is known which models are here. Never fails for one that is not. */
  open(use: SearchUse): Promise<AgentSearch>;
  /** All that a manifest wants, with vectors of all passages. Throws why something is not here. */
  whole(
    use: Pick<SearchUse, 'search' | 'vaults'>,
    options: { readonly signal: AbortSignal },
  ): Promise<SearchModels>;
  /** How the search of an agent is doing; `undefined` for one that wants no models. */
  rowOf(agent: string): AgentSearchRow | undefined;
}

type Kind = 'embedder' | 'reranker';
type Helping<K extends Kind> = NonNullable<SearchModels[K]>;

/** How often it is looked whether a vault has changed, milliseconds. */
const LOOK_MS = 1_000;
/** How long to wait for a model that was not there, milliseconds. */
const RETRY_MS = 30_000;
/** What a model is tried with. */
const WARMING = 'a';

/** Search with models. */
export function createSearching(parts: SearchingParts): Searching {
  const opener = new Opener(parts);
  const running = new Map<string, HomeSearch>();
  return {
    async open(use) {
      const search = new HomeSearch(parts, opener, use);
      await search.begin();
      running.set(use.agent, search);
      return {
        models: () => search.models(),
        told: (model, fault) => search.told(model, fault),
        close: async () => {
          if (running.get(use.agent) === search) running.delete(use.agent);
          await search.close();
        },
      };
    },
    async whole({ search, vaults }, { signal }) {
      const embedder = search.embedder && (await opener.embedder(search, vaults, signal));
      if (embedder !== undefined) {
        for (const [i, vault] of vaults.entries()) await opener.sync(vault, embedder.vectors[i], { signal });
      }
      const reranker = search.reranker && (await opener.reranker(search.reranker, signal));
      return { ...(embedder && { embedder }), ...(reranker && { reranker }) };
    },
    rowOf: (agent) => running.get(agent)?.row,
  };
}

/** Opens models, and the vectors of vaults, which agents with the same model share. */
class Opener {
  readonly #parts: SearchingParts;
  readonly #indexes = new WeakMap<Vault, Map<string, Promise<VectorIndex>>>();
  readonly #syncing = new WeakMap<VectorIndex, Promise<void>>();

  constructor(parts: SearchingParts) {
    this.#parts = parts;
  }

  async embedder(
    { embedder: wish, weight }: ManifestSearch,
    vaults: readonly Vault[],
    signal: AbortSignal,
  ): Promise<Helping<'embedder'> | undefined> {
    if (wish === undefined) return undefined;
    const { asking, making } = await this.#embedders(wish, signal);
    const vectors = await Promise.all(vaults.map((vault) => this.#index(vault, making)));
    const { model: name, withinMs } = wish;
    return { name, digest: asking.digest, withinMs, embedder: asking, vectors, weight };
  }

  async reranker(
    { model: name, withinMs }: ManifestReranker,
    signal: AbortSignal,
  ): Promise<Helping<'reranker'>> {
    const local = await this.#parts.models.judge(name, { signal });
    return { name, digest: local.model.digest, withinMs, reranker: createLocalReranker(local) };
  }

  /** Follows a vault, one at a time for each index. Whoever is stopped does not wait for the others. */
  async sync(
    vault: Vault,
    index: VectorIndex | undefined,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<void> {
    if (index === undefined) return;
    signal.throwIfAborted();
    const before = this.#syncing.get(index) ?? Promise.resolve();
    const work = before.then(() => index.sync(vault, { signal }));
    this.#syncing.set(
      index,
      work.catch(() => {}),
    );
    const stopped = Promise.withResolvers<never>();
    const stop = (): void => stopped.reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    try {
      await Promise.race([work, stopped.promise]);
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  async #embedders(
    { model, endpoint, keyVariable }: ManifestEmbedder,
    signal: AbortSignal,
  ): Promise<{ readonly asking: Embedder; readonly making: Embedder }> {
    const { environment, models } = this.#parts;
    if (endpoint === undefined) {
      const local = await models.judge(model, { signal });
      return {
        asking: createLocalEmbedder(local, 'question'),
        making: createLocalEmbedder(local, 'passages'),
      };
    }
    const apiKey = keyVariable === undefined ? undefined : environment[keyVariable];
    if (keyVariable !== undefined && !apiKey)
      throw new SaharaError('token-missing', { variable: keyVariable });
    const behind = createOpenAiEmbedder({ ...(apiKey && { apiKey }) }, { endpoint, model });
    return { asking: behind, making: behind };
  }

  #index(vault: Vault, embedder: Embedder): Promise<VectorIndex> {
    const indexes = this.#indexes.get(vault) ?? new Map<string, Promise<VectorIndex>>();
    this.#indexes.set(vault, indexes);
    const key = toHex(embedder.digest);
    const opened = indexes.get(key) ?? vault.vectors(embedder);
    indexes.set(key, opened);
    opened.catch(() => indexes.delete(key));
    return opened;
  }
}

/** The search of one agent. */
class HomeSearch {
  readonly #parts: SearchingParts;
  readonly #opener: Opener;
  readonly #use: SearchUse;
  readonly #closing = new AbortController();
  readonly #faults = new Map<Kind, SaharaError>();
  #embedder: Helping<'embedder'> | undefined;
  #reranker: Helping<'reranker'> | undefined;
  /** Models that were tried: what a question would wait for is loaded before it comes. */
  readonly #warm = new Set<Kind>();
  #making = false;
  #done: Promise<void> = Promise.resolve();
  #wake: () => void = () => {};

  constructor(parts: SearchingParts, opener: Opener, use: SearchUse) {
    this.#parts = parts;
    this.#opener = opener;
    this.#use = use;
  }

  /** Looks once which models are here, and goes on beside. */
  async begin(): Promise<void> {
    await this.#look();
    this.#done = this.#run();
  }

  get row(): AgentSearchRow {
    const { search, vaults } = this.#use;
    const vectors = this.#embedder?.vectors.reduce((sum, index) => sum + (index?.size ?? 0), 0) ?? 0;
    const of = vaults.reduce((sum, vault) => sum + vault.stats().chunks, 0);
    const note = [...this.#faults]
      .map(([kind, { message }]) => `the ${kind} is left out: ${message}`)
      .join('; ');
    return {
      ...(search.embedder && { embedder: search.embedder.model, vectors: Math.min(vectors, of), of }),
      ...(search.reranker && { reranker: search.reranker.model }),
      state: this.#faults.size > 0 ? 'failing' : this.#making ? 'making' : 'ready',
      ...(note !== '' && { note }),
    };
  }

  models(): SearchModels {
    return {
      ...(this.#embedder && { embedder: this.#embedder }),
      ...(this.#reranker && { reranker: this.#reranker }),
    };
  }

  told(kind: Kind, fault: SaharaError | undefined): void {
    const known = this.#faults.get(kind);
    if (fault === undefined) this.#faults.delete(kind);
    else this.#faults.set(kind, fault);
    if (known?.code === fault?.code) return;
    const { log } = this.#parts;
    const { agent } = this.#use;
    if (fault === undefined) log.info('a model helps to find passages again', { agent, model: kind });
    else
      log.warn('passages are found without a model', {
        agent,
        model: kind,
        code: fault.code,
        facts: fault.facts,
      });
  }

  async close(): Promise<void> {
    this.#closing.abort(new SaharaError('cancelled'));
    this.#wake();
    await this.#done;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const before = this.#generations();
      const followed = await this.#follow();
      for (let waitedMs = 0; !signal.aborted; waitedMs += LOOK_MS) {
        if (followed ? this.#generations() !== before : waitedMs >= RETRY_MS) break;
        await this.#sleep();
      }
      if (!followed) await this.#look();
    }
  }

  /** Opens what is not open; what cannot be is noted. */
  async #look(): Promise<void> {
    const { search, vaults } = this.#use;
    const { signal } = this.#closing;
    await this.#tried('embedder', async () => {
      this.#embedder ??= await this.#opener.embedder(search, vaults, signal);
    });
    await this.#tried('reranker', async () => {
      if (search.reranker !== undefined)
        this.#reranker ??= await this.#opener.reranker(search.reranker, signal);
    });
  }

  /** Whether models are at hand and every passage has its vector. */
  async #follow(): Promise<boolean> {
    const { search, vaults } = this.#use;
    const { signal } = this.#closing;
    this.#making = search.embedder !== undefined;
    const made = await this.#tried('embedder', async () => {
      if (this.#embedder === undefined) return search.embedder === undefined;
      if (!this.#warm.has('embedder')) await this.#embedder.embedder.embed([WARMING], { signal });
      this.#warm.add('embedder');
      for (const [i, vault] of vaults.entries()) {
        await this.#opener.sync(vault, this.#embedder.vectors[i], { signal });
      }
      this.told('embedder', undefined);
      return true;
    });
    this.#making = false;
    const ordered = await this.#tried('reranker', async () => {
      const helping = this.#reranker;
      if (helping === undefined) return search.reranker === undefined;
      if (!this.#warm.has('reranker')) await helping.reranker.rank(WARMING, [WARMING], { signal });
      this.#warm.add('reranker');
      this.told('reranker', undefined);
      return true;
    });
    if (ordered !== true) this.#reranker = undefined;
    return made === true && ordered === true;
  }

  /** What comes of it; `undefined` where it fails, which is noted. */
  async #tried<T>(kind: Kind, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      if (!this.#closing.signal.aborted) this.told(kind, asSaharaError(error));
      return undefined;
    }
  }

  #generations(): number {
    return this.#use.vaults.reduce((sum, vault) => sum + vault.stats().generation, 0);
  }

  #sleep(): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#parts.clock.after(LOOK_MS, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
  }
}
