/**
 * The statement of an attribution that others can check. L0 needs only what was delivered: hashes, quoted bytes,
 * chunk ids, sums, membership in the committed vault. L1 needs the question and the committed counts of its terms,
 * and repeats the whole game to the byte.
 */
import { compareBytes, equalBytes, toHex, utf8 } from '../../base/bytes.ts';
import { PPM, SOURCES_MAX } from '../../protocol/limits.ts';
import type { MerklePath } from '../../protocol/merkle.ts';
import { bytes, list, optional, record, type Schema, text, u32, uint } from '../../protocol/schema.ts';
import { chunkId } from '../../vault/chunk.ts';
import {
  type Commitment,
  commitmentRecord,
  provenCount,
  provesChunk,
  type TermProof,
} from '../../vault/commitment.ts';
import { domainSha256 } from '../../vault/hash.ts';
import { CORPORA_MAX, TERM_CHARACTERS_MAX } from '../../vault/limits.ts';
import { editDistance, editsMax } from '../../vault/search/fuzzy.ts';
import { questionTerms } from '../../vault/text/words.ts';
import { type Attribution, type AttributionInput, attribute } from './attribute.ts';
import { TERMS_MAX } from './limits.ts';

/** A term of the question as it was counted. */
export interface RecordedTerm {
  readonly term: string;
  /** The word of the question that it stands for, where that one occurs in no corpus. */
  readonly corrects: string | undefined;
  /** Chunks that hold it, for each corpus. */
  readonly chunksWith: readonly number[];
}

/** A quotation: UTF-8 byte offsets, end excluded, in the answer and in the passage. */
export interface RecordedCitation {
  readonly start: number;
  readonly end: number;
  readonly passageStart: number;
  readonly passageEnd: number;
}

/** A passage that the answer cites, and what it earned. */
interface RecordedSource {
  readonly id: Uint8Array;
  /** Which of the corpora it is from. */
  readonly corpus: number;
  readonly contributor: Uint8Array;
  readonly contribution: Uint8Array | undefined;
  readonly citations: readonly RecordedCitation[];
  readonly ppm: number;
}

/** The checkable statement of one attribution. */
export interface AttributionRecord {
  readonly version: number;
  /** Name of the rule: `coverage/1`, `coverage-plain/1` or `spans/1`. */
  readonly rule: string;
  /** SHA-256 of the question and of the answer, in UTF-8. */
  readonly questionHash: Uint8Array;
  readonly answerHash: Uint8Array;
  readonly corpora: readonly Commitment[];
  readonly terms: readonly RecordedTerm[];
  /** In byte order of their ids. */
  readonly sources: readonly RecordedSource[];
  readonly residualPpm: number;
}

const termText = text(4 * TERM_CHARACTERS_MAX);

/** The wire form of an attribution record. */
export const attributionRecord: Schema<AttributionRecord> = record('attribution-record', {
  version: uint(255),
  rule: text(64),
  questionHash: bytes(32),
  answerHash: bytes(32),
  corpora: list(commitmentRecord, CORPORA_MAX),
  terms: list(
    record('recorded-term', {
      term: termText,
      corrects: optional(termText),
      chunksWith: list(uint(), CORPORA_MAX),
    }),
    TERMS_MAX,
  ),
  sources: list(
    record('recorded-source', {
      id: bytes(32),
      corpus: u32,
      contributor: bytes(32),
      contribution: optional(bytes(32)),
      citations: list(
        record('recorded-citation', { start: u32, end: u32, passageStart: u32, passageEnd: u32 }),
        256,
      ),
      ppm: uint(PPM),
    }),
    SOURCES_MAX,
  ),
  residualPpm: uint(PPM),
});

/** SHA-256 of a record under `sahara/1/attribution-record`. */
export function attributionRecordHash(value: AttributionRecord): Uint8Array {
  return domainSha256('sahara/1/attribution-record', attributionRecord.encode(value));
}

/** What a verifier is given beside the record. */
export interface AttributionEvidence {
  readonly question: string;
  readonly answer: string;
  /** Content of each source, in the record's order. */
  readonly sources: readonly { readonly title: string; readonly text: string; readonly licence: string }[];
  /** Where each source stands in its corpus; absent where membership is not to be checked. */
  readonly chunkPaths?: readonly MerklePath[];
  /** For each term, for each corpus, what proves its count. Needed for L1 of `coverage/1`, unless counts are believed. */
  readonly termProofs?: readonly (readonly TermProof[])[];
  /** Takes the counts as they are stated: the game is repeated, what it rests on is not proven. */
  readonly countsBelieved?: boolean;
  /** For each word that was corrected, for each corpus, what proves that it occurs nowhere. */
  readonly correctedProofs?: ReadonlyMap<string, readonly TermProof[]>;
}

/** One thing that does not hold. */
export interface AttributionFault {
  /** Where in the record, such as `sources[1].ppm`. */
  readonly where: string;
  readonly reason: string;
}

/** SHA-256 of a question or an answer. */
export function textHash(value: string): Uint8Array {
  return domainSha256('sahara/1/text', utf8(value));
}

/** L0: everything that holds without repeating the game. No faults means it holds. */
export function checkAttribution(
  value: AttributionRecord,
  evidence: AttributionEvidence,
): AttributionFault[] {
  const faults: AttributionFault[] = [];
  const require = (holds: boolean, where: string, reason: string): void => {
    if (!holds) faults.push({ where, reason });
  };
  require(equalBytes(
    value.questionHash,
    textHash(evidence.question),
  ), 'questionHash', 'is of another question');
  require(equalBytes(value.answerHash, textHash(evidence.answer)), 'answerHash', 'is of another answer');
  const sum = value.sources.reduce((all, { ppm }) => all + ppm, value.residualPpm);
  require(sum === PPM, 'residualPpm', `the parts sum to ${sum} instead of ${PPM}`);
  require(evidence.sources.length === value.sources.length, 'sources', 'are not the ones of the evidence');
  const answer = utf8(evidence.answer);
  for (const [i, source] of value.sources.entries()) {
    const where = `sources[${i}]`;
    const previous = value.sources[i - 1];
    require(previous === undefined ||
      compareBytes(previous.id, source.id) < 0, where, 'is not in the order of ids');
    const content = evidence.sources[i];
    if (content === undefined) continue;
    const { contributor, contribution } = source;
    require(equalBytes(
      source.id,
      chunkId({ ...content, contributor, contribution }),
    ), `${where}.id`, 'is of another passage or contributor');
    require(source.citations.length > 0, `${where}.citations`, 'name no quotation');
    for (const [k, citation] of source.citations.entries()) {
      const fault = citationFault(value.rule, citation, { answer, passage: utf8(content.text) });
      if (fault !== undefined) faults.push({ where: `${where}.citations[${k}]`, reason: fault });
    }
    const path = evidence.chunkPaths?.[i];
    const corpus = value.corpora[source.corpus];
    if (evidence.chunkPaths === undefined) continue;
    const member = path !== undefined && corpus !== undefined && provesChunk(corpus, source.id, path);
    require(member, `${where}.id`, 'is not in the committed vault');
  }
  return faults;
}

function citationFault(
  rule: string,
  citation: RecordedCitation,
  texts: { readonly answer: Uint8Array; readonly passage: Uint8Array },
): string | undefined {
  const { start, end, passageStart, passageEnd } = citation;
  if (start >= end || end > texts.answer.length) return 'lies outside the answer';
  if (passageStart >= passageEnd || passageEnd > texts.passage.length) return 'lies outside the passage';
  if (rule === 'spans/1') return undefined;
  const quoted = texts.answer.subarray(start, end);
  return equalBytes(quoted, texts.passage.subarray(passageStart, passageEnd)) ? undefined : 'is not verbatim';
}

/** L1: L0, and the same parts come out when the game is played again. No faults means it holds. */
export function recomputeAttribution(
  value: AttributionRecord,
  evidence: AttributionEvidence,
): AttributionFault[] {
  return repeatAttribution(value, evidence).faults;
}

/** The same with the attribution that came out, where the rule is known. */
export function repeatAttribution(
  value: AttributionRecord,
  evidence: AttributionEvidence,
): { readonly faults: AttributionFault[]; readonly again: Attribution | undefined } {
  const faults = checkAttribution(value, evidence);
  const input = inputOf(value, evidence, faults);
  if (input === undefined) return { faults, again: undefined };
  const again = attribute(input);
  for (const [i, source] of value.sources.entries()) {
    const found = again.sources.find(({ id }) => equalBytes(id, source.id))?.ppm ?? 0;
    if (found !== source.ppm)
      faults.push({ where: `sources[${i}].ppm`, reason: `is ${source.ppm}; the rule gives ${found}` });
  }
  if (again.residualPpm !== value.residualPpm) {
    faults.push({
      where: 'residualPpm',
      reason: `is ${value.residualPpm}; the rule gives ${again.residualPpm}`,
    });
  }
  return { faults, again };
}

function inputOf(
  value: AttributionRecord,
  evidence: AttributionEvidence,
  faults: AttributionFault[],
): AttributionInput | undefined {
  const passages = value.sources.map(({ id, contributor, contribution }, i) => ({
    id,
    contributor,
    contribution,
    title: evidence.sources[i]?.title ?? '',
    text: evidence.sources[i]?.text ?? '',
  }));
  const { question, answer } = evidence;
  if (value.rule === 'spans/1') return { method: 'spans', answer, passages };
  if (value.rule === 'coverage-plain/1') return { method: 'coverage', question, passages };
  if (value.rule !== 'coverage/1') {
    faults.push({ where: 'rule', reason: `${value.rule} is not known` });
    return undefined;
  }
  faults.push(...termFaults(value, evidence));
  const sumOf = (pick: (commitment: Commitment) => number): number =>
    value.corpora.reduce((sum, commitment) => sum + pick(commitment), 0);
  const stats = {
    chunks: sumOf(({ chunks }) => chunks),
    lengthTotal: sumOf(({ lengthTotal }) => lengthTotal),
  };
  const terms = value.terms.map(({ term, chunksWith }) => ({
    term,
    chunksWith: chunksWith.reduce((sum, count) => sum + count, 0),
  }));
  return { method: 'coverage', question, passages, corpus: { stats, terms } };
}

/** The recorded terms are those of the question, each exact or a correction within bounds, and counted truly. */
function termFaults(value: AttributionRecord, evidence: AttributionEvidence): AttributionFault[] {
  const faults: AttributionFault[] = [];
  const words = new Set(value.terms.map(({ term, corrects }) => corrects ?? term));
  const asked = questionTerms(evidence.question).slice(0, TERMS_MAX);
  const known = new Set(value.terms.map(({ term }) => term));
  for (const word of asked) {
    if (!words.has(word) && !known.has(word)) faults.push({ where: 'terms', reason: `"${word}" is missing` });
  }
  for (const [i, { term, corrects, chunksWith }] of value.terms.entries()) {
    const where = `terms[${i}]`;
    if (!asked.includes(corrects ?? term))
      faults.push({ where, reason: `"${corrects ?? term}" was not asked` });
    if (corrects !== undefined && editDistance(corrects, term, editsMax(corrects.length)) === undefined) {
      faults.push({ where, reason: `"${term}" is no correction of "${corrects}"` });
    }
    for (const [corpus, commitment] of evidence.countsBelieved ? [] : value.corpora.entries()) {
      const count = chunksWith[corpus] ?? 0;
      const proof = evidence.termProofs?.[i]?.[corpus];
      if (proof === undefined || provenCount(commitment, term, proof) !== count) {
        faults.push({
          where: `${where}.chunksWith`,
          reason: `${count} is not what corpus ${corpus} commits to`,
        });
      }
    }
    const absent = corrects === undefined ? undefined : evidence.correctedProofs?.get(corrects);
    if (corrects !== undefined && !evidence.countsBelieved && !isAbsent(value.corpora, corrects, absent)) {
      faults.push({ where, reason: `"${corrects}" is not shown to occur nowhere` });
    }
  }
  return faults;
}

function isAbsent(
  corpora: readonly Commitment[],
  word: string,
  proofs: readonly TermProof[] | undefined,
): boolean {
  return corpora.every((commitment, i) => {
    const proof = proofs?.[i];
    return proof !== undefined && provenCount(commitment, word, proof) === 0;
  });
}

/** The record of an attribution: what `attribute` gave, with what it rested on. */
export function recordOf(
  attribution: Attribution,
  facts: {
    readonly question: string;
    readonly answer: string;
    readonly corpora: readonly Commitment[];
    readonly terms: readonly RecordedTerm[];
    /** Of each source, by the hexadecimal of its id. */
    readonly places: ReadonlyMap<
      string,
      { readonly corpus: number; readonly citations: readonly RecordedCitation[] }
    >;
  },
): AttributionRecord {
  return {
    version: 1,
    rule: attribution.rule,
    questionHash: textHash(facts.question),
    answerHash: textHash(facts.answer),
    corpora: facts.corpora,
    terms: facts.terms,
    sources: attribution.sources.map((source) => {
      const place = facts.places.get(toHex(source.id));
      return { ...source, corpus: place?.corpus ?? 0, citations: place?.citations ?? [] };
    }),
    residualPpm: attribution.residualPpm,
  };
}
