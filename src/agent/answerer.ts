/**
 * Answers out of vaults: retrieval, then the backend over the passages found, then attribution of what was
 * delivered. A passage is delivered as a source before the first citation of it, and not at all without one.
 */
import { fromUtf8, toHex, utf8 } from '../base/bytes.ts';
import { invariant } from '../base/errors.ts';
import type { Citation, Source } from '../protocol/call.ts';
import type { Corpus, SearchHit } from '../vault/search/search.ts';
import { type Attribution, attribute, type CitedPassage } from './attribution/attribute.ts';
import { type AdapterMeasure, measureAdapters } from './attribution/measure.ts';
import { type Quote, quotesOf } from './attribution/quotes.ts';
import { type AgentAssets, type RevenueSplit, roleShares } from './attribution/shares.ts';
import { stateAttribution } from './attribution/statement.ts';
import { type AdapterParts, earnedAssets } from './attribution/switched-off.ts';
import { attributeWritten } from './attribution/written.ts';
import {
  type AnswerCitation,
  type AnswerRequest,
  type Backend,
  isAsked,
  requestParts,
} from './backends/backend.ts';
import { type Finder, type Found, findByWords } from './embedding/finder.ts';
import type { Answerer, AnswerJob, AnswerPart, AnswerRun, AnswerShares } from './ports.ts';
import type { ToolKit } from './tools/toolkit.ts';

/** Passages that a backend is given where nothing is said: a definition is seldom among the first few that name a thing. */
export const PASSAGES_GIVEN = 12;

/** Parts of an answerer. */
export interface VaultAnswererParts {
  readonly backend: Backend;
  /** Searched as if they were one; may be empty. */
  readonly vaults: readonly Corpus[];
  /** Finds passages in them. Default: by words, among all. */
  readonly finder?: Finder;
}

/** How an answerer works. */
export interface VaultAnswererOptions {
  /** How the manifest divides what a call earns. */
  readonly split: RevenueSplit;
  readonly assets: AgentAssets;
  /** The operator's instructions to a model. Default none. */
  readonly prompt?: string;
  /** What a model may use while it answers. Default nothing. */
  readonly tools?: ToolKit;
  /** Measures what each adapter did for an answer. Default: adapters earn as declared. */
  readonly measure?: AdapterMeasure;
  /** Passages given to the backend. Default `PASSAGES_GIVEN`. */
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
  /** What was said so far, and cited. */
  readonly #said = { text: '', citations: [] as Citation[] };
  #found: Found | undefined;
  /** Who an answer of that length rests on: it is asked for its statement, and again for what it earns. */
  #attributed:
    | { readonly characters: number; readonly citations: number; readonly attribution: Attribution }
    | undefined;
  /** How the parts of adapters came about, once the whole answer was measured. */
  #adapterParts: AdapterParts | undefined;

  constructor(run: RunParts) {
    this.#run = run;
    this.parts = this.#answer();
  }

  shares(delivered: { readonly text: string; readonly citations: readonly Citation[] }): AnswerShares {
    const attribution = this.#attributionOf(delivered);
    const { split, assets } = this.#run;
    // What was measured is the whole answer; a beginning of it is paid as declared.
    const whole = delivered.text.length === this.#said.text.length;
    const earned = earnedAssets(assets, whole ? this.#adapterParts : undefined, delivered.text);
    return { rule: attribution.rule, shares: roleShares(split, attribution, earned) };
  }

  #attributionOf(delivered: { readonly text: string; readonly citations: readonly Citation[] }): Attribution {
    // What is delivered is a beginning of what was said, so its lengths tell which.
    const { text, citations } = delivered;
    const known = this.#attributed;
    if (known?.characters === text.length && known.citations === citations.length) return known.attribution;
    const cited = new Set(citations.map(({ source }) => source));
    const passages = this.#sources.filter((_, i) => cited.has(i)).map(citedPassage);
    const attribution = this.#attribute(passages, text);
    this.#attributed = { characters: text.length, citations: citations.length, attribution };
    return attribution;
  }

  /** What others need to repeat who earned by the answer; `undefined` where it cites nothing. */
  async #statement(): Promise<Uint8Array | undefined> {
    const found = this.#found;
    if (found === undefined || this.#said.citations.length === 0) return undefined;
    const { split, assets, vaults, job } = this.#run;
    const { text: answer, citations } = this.#said;
    const attribution = this.#attributionOf(this.#said);
    const { question } = job.request;
    const terms = found.terms.filter((term) => isAsked(term));
    const sources = this.#sources.map(({ chunk, corpus }) => ({ id: chunk.id, corpus }));
    const rested = { question, answer, attribution, corpora: vaults, terms, stats: found.stats };
    const adapterParts = this.#adapterParts;
    const { how } = found;
    return stateAttribution({ ...rested, sources, citations, how }, { split, assets, adapterParts });
  }

  #attribute(passages: readonly CitedPassage[], answer: string): Attribution {
    if (this.#run.backend.kind !== 'extractive') return attributeWritten(answer, passages);
    const { question } = this.#run.job.request;
    const found = this.#found;
    // Counts over what a caller may not have are told to nobody who may not.
    if (found === undefined || found.how?.restricted)
      return attribute({ method: 'coverage', question, passages });
    const terms = found.terms.filter((term) => isAsked(term));
    return attribute({ method: 'coverage', question, passages, corpus: { stats: found.stats, terms } });
  }

  async *#answer(): AsyncGenerator<AnswerPart> {
    const { backend, vaults, prompt, tools, passagesMax = PASSAGES_GIVEN, job, signal } = this.#run;
    const { question, context, seed } = job.request;
    const asked = context.filter(({ role }) => role === 'user').map(({ text }) => text);
    const query = { question, context: asked, limit: passagesMax };
    this.#found = await (this.#run.finder ?? findByWords(vaults)).find(query, { caller: job.caller, signal });
    signal.throwIfAborted();
    const { hits } = this.#found;
    const request = {
      question,
      context,
      ...requestParts(this.#found),
      unitsMax: job.outputUnitsMax,
      payer: toHex(job.caller),
      withinMs: job.request.deadlineMs,
      ...(seed !== undefined && { seed }),
      ...(prompt !== undefined && { prompt }),
      ...(tools && { tools: await tools.open(job.calls, { signal }) }),
    };
    const beganMs = this.#run.measure?.clock.monotonicMs() ?? 0;
    // A quoted sentence waits for its citation, so that both leave in one delta; a model's words never wait.
    const holds = backend.kind === 'extractive';
    let held = '';
    for await (const part of backend.answer(request, { signal })) {
      if (part.type === 'text') {
        if (held !== '') yield this.#say(held, []);
        held = holds ? part.text : '';
        if (!holds) yield this.#say(part.text, []);
        continue;
      }
      if (part.type === 'citation') {
        const cited = this.#cite(part, hits);
        if (cited.fresh) yield { type: 'source', source: cited.fresh };
        if (held !== '' || cited.citations.length > 0) yield this.#say(held, cited.citations);
      } else {
        if (held !== '') yield this.#say(held, []);
        await this.#measure(request, beganMs);
        const body = await this.#statement();
        if (body !== undefined) yield { type: 'attribution', body };
        yield { type: 'end', finish: part.finish };
      }
      held = '';
    }
  }

  /** Asks what each adapter did for the answer, where somebody can be told: it is over, and cites something. */
  async #measure(request: AnswerRequest, beganMs: number): Promise<void> {
    const { measure, backend, job, signal } = this.#run;
    if (measure === undefined || this.#said.citations.length === 0) return;
    const leftMs = job.request.deadlineMs - (measure.clock.monotonicMs() - beganMs);
    const given = { request, answer: this.#said.text, leftMs };
    this.#adapterParts = await measureAdapters(backend, given, { ...measure, signal });
  }

  #say(text: string, citations: readonly Citation[]): AnswerPart {
    this.#said.text += text;
    this.#said.citations.push(...citations);
    return { type: 'delta', text, citations };
  }

  /**
   * The citations that a backend's one comes to. What a model cites supports its statement and is not what it says: only
   * what both have word for word can be cited (RCPT-4), and a passage of which nothing is said is no source.
   */
  #cite(
    part: AnswerCitation,
    hits: readonly SearchHit[],
  ): { readonly citations: readonly Citation[]; readonly fresh: Source | undefined } {
    const hit = hits[part.passage];
    invariant(hit, 'a backend cites passages that it was given');
    const quotes = this.#run.backend.kind === 'extractive' ? [part] : this.#quotes(part, hit);
    if (quotes.length === 0) return { citations: [], fresh: undefined };
    const known = this.#sources.indexOf(hit);
    const source = known < 0 ? this.#sources.push(hit) - 1 : known;
    const citations = quotes.map(({ start, end, passageStart: sourceStart, passageEnd: sourceEnd }) => {
      return { start, end, source, sourceStart, sourceEnd };
    });
    return { citations, fresh: known < 0 ? this.#source(hit) : undefined };
  }

  #quotes({ start, end }: AnswerCitation, { chunk }: SearchHit): readonly Quote[] {
    const statement = fromUtf8(utf8(this.#said.text).subarray(start, end)) ?? '';
    return quotesOf(statement, chunk.text).map((quote) => {
      return { ...quote, start: start + quote.start, end: start + quote.end };
    });
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
