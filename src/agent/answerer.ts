/**
 * Answers out of vaults: retrieval, then the backend over the passages found, then attribution of what was
 * delivered. A passage is delivered as a source before the first citation of it, and not at all without one.
 */
import { invariant } from '../base/errors.ts';
import type { Citation, Source } from '../protocol/call.ts';
import type { Corpus, SearchHit, SearchResult } from '../vault/search/search.ts';
import { searchVaults } from '../vault/vault.ts';
import { type Attribution, attribute, type CitedPassage } from './attribution/attribute.ts';
import { type AgentAssets, type RevenueSplit, roleShares } from './attribution/shares.ts';
import { attributeWritten } from './attribution/written.ts';
import { type AnswerCitation, type Backend, isAsked, requestParts } from './backends/backend.ts';
import type { Answerer, AnswerJob, AnswerPart, AnswerRun, AnswerShares } from './ports.ts';

/** Parts of an answerer. */
export interface VaultAnswererParts {
  readonly backend: Backend;
  /** Searched as if they were one; may be empty. */
  readonly vaults: readonly Corpus[];
}

/** How an answerer works. */
export interface VaultAnswererOptions {
  /** How the manifest divides what a call earns. */
  readonly split: RevenueSplit;
  readonly assets: AgentAssets;
  /** The operator's instructions to a model. Default none. */
  readonly prompt?: string;
  /** Passages given to the backend. Default 8. */
  readonly passagesMax?: number;
}

/** An answerer over `parts.vaults`. */
export function createVaultAnswerer(parts: VaultAnswererParts, options: VaultAnswererOptions): Answerer {
  return { answer: (job, { signal }) => new VaultRun({ ...parts, ...options, job, signal }) };
}

type RunParts = VaultAnswererParts &
  VaultAnswererOptions & { readonly job: AnswerJob; readonly signal: AbortSignal };

class VaultRun implements AnswerRun {
  readonly parts: AsyncIterable<AnswerPart>;
  readonly #run: RunParts;
  readonly #sources: SearchHit[] = [];
  #found: SearchResult | undefined;

  constructor(run: RunParts) {
    this.#run = run;
    this.parts = this.#answer();
  }

  shares(delivered: { readonly text: string; readonly citations: readonly Citation[] }): AnswerShares {
    const cited = new Set(delivered.citations.map(({ source }) => source));
    const passages = this.#sources.filter((_, i) => cited.has(i)).map(citedPassage);
    const attribution = this.#attribute(passages, delivered.text);
    return { rule: attribution.rule, shares: roleShares(this.#run.split, attribution, this.#run.assets) };
  }

  #attribute(passages: readonly CitedPassage[], answer: string): Attribution {
    if (this.#run.backend.kind !== 'extractive') return attributeWritten(answer, passages);
    const { question } = this.#run.job.request;
    const found = this.#found;
    if (found === undefined) return attribute({ method: 'coverage', question, passages });
    const terms = found.terms.filter((term) => isAsked(term));
    return attribute({ method: 'coverage', question, passages, corpus: { stats: found.stats, terms } });
  }

  async *#answer(): AsyncGenerator<AnswerPart> {
    const { backend, vaults, prompt, passagesMax = 8, job, signal } = this.#run;
    const { question, context, seed } = job.request;
    const asked = context.filter(({ role }) => role === 'user').map(({ text }) => text);
    this.#found = await searchVaults(vaults, { question, context: asked, limit: passagesMax });
    signal.throwIfAborted();
    const { hits } = this.#found;
    const request = {
      question,
      context,
      ...requestParts(this.#found),
      unitsMax: job.outputUnitsMax,
      ...(seed !== undefined && { seed }),
      ...(prompt !== undefined && { prompt }),
    };
    // A quoted sentence waits for its citation, so that both leave in one delta; a model's words never wait.
    const holds = backend.kind === 'extractive';
    let held = '';
    for await (const part of backend.answer(request, { signal })) {
      if (part.type === 'text') {
        if (held !== '') yield { type: 'delta', text: held, citations: [] };
        held = holds ? part.text : '';
        if (!holds) yield { type: 'delta', text: part.text, citations: [] };
        continue;
      }
      if (part.type === 'citation') {
        const { citation, fresh } = this.#cite(part, hits);
        if (fresh) yield { type: 'source', source: fresh };
        yield { type: 'delta', text: held, citations: [citation] };
      } else {
        if (held !== '') yield { type: 'delta', text: held, citations: [] };
        yield { type: 'end', finish: part.finish };
      }
      held = '';
    }
  }

  #cite(
    part: AnswerCitation,
    hits: readonly SearchHit[],
  ): { readonly citation: Citation; readonly fresh: Source | undefined } {
    const hit = hits[part.passage];
    invariant(hit, 'a backend cites passages that it was given');
    const known = this.#sources.indexOf(hit);
    const at = known < 0 ? this.#sources.push(hit) - 1 : known;
    const { start, end, passageStart: sourceStart, passageEnd: sourceEnd } = part;
    const citation = { start, end, source: at, sourceStart, sourceEnd };
    return { citation, fresh: known < 0 ? this.#source(hit) : undefined };
  }

  #source({ chunk, name }: SearchHit): Source {
    return {
      chunk: chunk.id,
      document: name,
      title: chunk.title,
      text: chunk.text,
      contributor: chunk.contributor,
      // Without an asset of its own a contribution is paid through the agent's.
      asset: chunk.contribution ?? this.#run.assets.agent,
      licence: chunk.licence,
    };
  }
}

function citedPassage({ chunk }: SearchHit): CitedPassage {
  const { id, title, text, contributor, contribution } = chunk;
  return { id, title, text, contributor, contribution };
}
