/**
 * What an agent delivers behind an answer so that others can repeat who earned by it: the record of the attribution,
 * how the manifest divides what a call earns and between which assets, and what proves the record's counts under the
 * vaults' commitments. With the bundle of the call it is all that level 1 needs (`spec/knowledge.md`, KNOW-157).
 */
import { toHex } from '../../base/bytes.ts';
import type { Citation } from '../../protocol/call.ts';
import { ATTRIBUTION_BYTES_MAX, PPM, SOURCES_MAX } from '../../protocol/limits.ts';
import { merklePath } from '../../protocol/merkle.ts';
import { bytes, later, list, optional, record, type Schema, text, uint } from '../../protocol/schema.ts';
import type { TermProof } from '../../vault/commitment.ts';
import { CORPORA_MAX, TERM_CHARACTERS_MAX } from '../../vault/limits.ts';
import type { CorpusStats } from '../../vault/search/score.ts';
import type { Corpus, QueryTerm } from '../../vault/search/search.ts';
import { type SearchHow, searchHow } from '../embedding/how.ts';
import type { Attribution } from './attribute.ts';
import { ADAPTERS_MAX, TERMS_MAX } from './limits.ts';
import {
  type AttributionRecord,
  attributionRecord,
  type RecordedCitation,
  type RecordedTerm,
  recordOf,
} from './record.ts';
import type { AgentAssets, RevenueSplit } from './shares.ts';
import { type AdapterParts, adapterParts } from './switched-off.ts';

/** What proves the counts of a record. */
interface Proofs {
  /** Where each source stands in its corpus, in the record's order. */
  readonly chunkPaths: AttributionProofs['chunkPaths'];
  /** For each term of the record, for each corpus. */
  readonly termProofs: readonly (readonly TermProof[])[];
  /** The same for the words that were corrected, each of which occurs nowhere. */
  readonly correctedProofs: readonly (readonly TermProof[])[];
}

type AttributionProofs = { readonly chunkPaths: readonly ReturnType<typeof merklePath.decode>[] };

/** What an agent says of how the knowledge part of a call was divided. */
export interface AttributionStatement {
  readonly record: AttributionRecord;
  readonly split: RevenueSplit;
  readonly assets: AgentAssets;
  /** Absent where they would not fit. */
  readonly proofs: Proofs | undefined;
  /** How the parts of adapters came about; absent where they are as declared in `assets`. */
  readonly adapterParts?: AdapterParts | undefined;
  /** How passages were found; absent where words found them among all. */
  readonly how?: SearchHow | undefined;
}

const provenTerm = record('proven-term', {
  term: text(4 * TERM_CHARACTERS_MAX),
  chunksWith: uint(),
  path: merklePath,
});
/** A term's count by its leaf, or, without it, its neighbours. */
const termProof = record('term-proof', {
  leaf: optional(provenTerm),
  below: optional(provenTerm),
  above: optional(provenTerm),
});
const proofLists = list(list(termProof, CORPORA_MAX), TERMS_MAX);

const statementWire = record('attribution-statement', {
  record: attributionRecord,
  split: record('revenue-split', {
    knowledge: uint(PPM),
    operator: uint(PPM),
    model: uint(PPM),
    prompt: uint(PPM),
  }),
  agent: bytes(32),
  model: optional(bytes(32)),
  prompt: optional(bytes(32)),
  adapters: list(record('declared-adapter', { asset: bytes(32), ppm: uint(PPM) }), ADAPTERS_MAX),
  proofs: optional(
    record('attribution-proofs', {
      chunkPaths: list(merklePath, SOURCES_MAX),
      termProofs: proofLists,
      correctedProofs: proofLists,
    }),
  ),
  adapterParts: later(adapterParts),
  how: later(searchHow),
});

/** The wire form of a statement. Decoding throws `malformed`. */
export const attributionStatement: Pick<Schema<AttributionStatement>, 'encode' | 'decode'> = {
  encode({ record: stated, split, assets, proofs, adapterParts: parts, how }) {
    const { agent, model, prompt, adapters = [] } = assets;
    return statementWire.encode({
      record: stated,
      split,
      agent,
      model,
      prompt,
      adapters,
      proofs: proofs && {
        chunkPaths: proofs.chunkPaths,
        termProofs: proofs.termProofs.map((all) => all.map(proofToWire)),
        correctedProofs: proofs.correctedProofs.map((all) => all.map(proofToWire)),
      },
      adapterParts: parts,
      how,
    });
  },
  decode(body) {
    const {
      record: stated,
      adapterParts: parts,
      how,
      split,
      agent,
      model,
      prompt,
      adapters,
      proofs,
    } = statementWire.decode(body);
    return {
      record: stated,
      split,
      assets: { agent, adapters, ...(model && { model }), ...(prompt && { prompt }) },
      proofs: proofs && {
        chunkPaths: proofs.chunkPaths,
        termProofs: proofs.termProofs.map((all) => all.map(proofFromWire)),
        correctedProofs: proofs.correctedProofs.map((all) => all.map(proofFromWire)),
      },
      ...(parts && { adapterParts: parts }),
      ...(how && { how }),
    };
  },
};

type ProofWire = ReturnType<typeof termProof.decode>;

function proofToWire(proof: TermProof): ProofWire {
  if (!proof.present) return { leaf: undefined, below: proof.below, above: proof.above };
  const { term, chunksWith, path } = proof;
  return { leaf: { term, chunksWith, path }, below: undefined, above: undefined };
}

function proofFromWire({ leaf, below, above }: ProofWire): TermProof {
  return leaf === undefined ? { present: false, below, above } : { present: true, ...leaf };
}

/** What an answer rested on, for its statement. */
export interface StatedAnswer {
  readonly question: string;
  readonly answer: string;
  readonly attribution: Attribution;
  readonly corpora: readonly Corpus[];
  /** The question's own terms as they were counted; empty under rules that count nothing. */
  readonly terms: readonly QueryTerm[];
  readonly stats: CorpusStats;
  /** The delivered sources: chunk id and position of its corpus. */
  readonly sources: readonly { readonly id: Uint8Array; readonly corpus: number }[];
  readonly citations: readonly Citation[];
  readonly how: SearchHow | undefined;
}

/**
 * The statement on an answer in its wire form; `undefined` when a vault has changed since it was searched, so that its
 * commitment does not tell what the answer rested on, or when the statement would be too large.
 */
export async function stateAttribution(
  stated: StatedAnswer,
  money: Pick<AttributionStatement, 'split' | 'assets' | 'adapterParts'>,
): Promise<Uint8Array | undefined> {
  const { corpora, attribution } = stated;
  const counted = attribution.rule === 'coverage/1';
  const terms = counted ? stated.terms.slice(0, TERMS_MAX) : [];
  const proofsOf = (term: string): Promise<TermProof[]> =>
    Promise.all(corpora.map((corpus) => corpus.termProof(term)));
  const termProofs = await Promise.all(terms.map(({ term }) => proofsOf(term)));
  const corrected = terms.flatMap(({ corrects }) => (corrects === undefined ? [] : [corrects]));
  const correctedProofs = await Promise.all(corrected.map(proofsOf));
  const places = placesOf(stated);
  const paths = await Promise.all(
    attribution.sources.map(({ id }) => corpora[places.get(toHex(id))?.corpus ?? 0]?.chunkPath(id)),
  );
  const commitments = await Promise.all(corpora.map((corpus) => corpus.commitment()));
  const recorded = terms.map(
    ({ term, corrects }, i): RecordedTerm => ({
      term,
      corrects,
      chunksWith: (termProofs[i] ?? []).map((proof) => (proof.present ? proof.chunksWith : 0)),
    }),
  );
  const chunkPaths = paths.filter((path) => path !== undefined);
  const same =
    !counted ||
    (sum(commitments.map(({ chunks }) => chunks)) === stated.stats.chunks &&
      sum(commitments.map(({ lengthTotal }) => lengthTotal)) === stated.stats.lengthTotal &&
      recorded.every(({ chunksWith }, i) => sum(chunksWith) === terms[i]?.chunksWith));
  if (!same || chunkPaths.length < paths.length) return undefined;
  const { question, answer, how } = stated;
  const facts = { question, answer, corpora: commitments, terms: recorded, places };
  const made = { record: recordOf(attribution, facts), ...money, how };
  const whole = attributionStatement.encode({ ...made, proofs: { chunkPaths, termProofs, correctedProofs } });
  // A path shows hashes of what stands beside a passage: somebody who may not have it could tell whether it is there.
  if (whole.length <= ATTRIBUTION_BYTES_MAX && !how?.restricted) return whole;
  const bare = attributionStatement.encode({ ...made, proofs: undefined });
  return bare.length <= ATTRIBUTION_BYTES_MAX ? bare : undefined;
}

function placesOf({
  sources,
  citations,
}: StatedAnswer): Map<string, { corpus: number; citations: RecordedCitation[] }> {
  const places = new Map<string, { corpus: number; citations: RecordedCitation[] }>();
  for (const { id, corpus } of sources) places.set(toHex(id), { corpus, citations: [] });
  for (const { source, start, end, sourceStart, sourceEnd } of citations) {
    const id = sources[source]?.id;
    const place = id && places.get(toHex(id));
    place?.citations.push({ start, end, passageStart: sourceStart, passageEnd: sourceEnd });
  }
  return places;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, number) => all + number, 0);
}
