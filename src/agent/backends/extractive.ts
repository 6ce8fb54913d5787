/**
 * Answers with sentences of the passages, verbatim and cited, and with nothing else. There is no model: the same
 * request gives the same bytes on every machine, so anyone can check an answer by repeating it. When no single
 * sentence covers enough of the question it says so instead of gluing unrelated ones together.
 */
import { utf8 } from '../../base/bytes.ts';
import { SaharaError } from '../../base/errors.ts';
import { inputUnits, UnitCounter } from '../../protocol/units.ts';
import { domainSha256 } from '../../vault/hash.ts';
import { ANALYSIS_VERSION } from '../../vault/text/words.ts';
import type { AnswerPart, AnswerRequest, Backend } from './backend.ts';
import { nothingFound } from './nothing-found.ts';
import { readQuestion } from './question.ts';
import { type Candidate, candidatesOf, isQuotable, WHOLE } from './sentences.ts';

/** Options of the extractive backend; all of them are part of its digest. */
export interface ExtractiveOptions {
  /** Most sentences, items or code blocks of an answer. Default 4, 1 to 16. */
  readonly sentencesMax: number;
  /** Share of the question's weight that the best sentence must cover, in millionths. Default 500,000. */
  readonly supportMin: number;
}

/** What `createExtractiveBackend` uses where nothing is said. */
export const EXTRACTIVE_DEFAULTS: ExtractiveOptions = { sentencesMax: 4, supportMin: 500_000 };

/** Version of the rules; a change of any answer takes another. */
const RULES = 6;
/** Share of novelty against score when further sentences are chosen: lambda 0.7. */
const SCORE_TENTHS = 7;
const NOVELTY_TENTHS = 3;
/** A further sentence has at least this part of the first one's score. */
const FURTHER_NUMERATOR = 7;
const FURTHER_DENOMINATOR = 10;
const LEANS =
  /^(?:it|its|this|that|these|those|they|their|he|she|such|however|therefore|thus|hence|otherwise|then|instead|so|but|and|also|both|in that case|for this reason)\b/i;

/** The backend that quotes. */
export function createExtractiveBackend(options: Partial<ExtractiveOptions> = {}): Backend {
  const chosen = { ...EXTRACTIVE_DEFAULTS, ...options };
  const rules = `extractive/${RULES} analysis/${ANALYSIS_VERSION} sentences/${chosen.sentencesMax} support/${chosen.supportMin}`;
  return {
    kind: 'extractive',
    model: {
      name: `extractive/${RULES}`,
      digest: domainSha256('sahara/1/model/extractive', utf8(rules)),
      determinism: 'exact',
    },
    answer: (request, { signal }) => quote(request, chosen, signal),
    close: async () => {},
  };
}

async function* quote(
  request: AnswerRequest,
  options: ExtractiveOptions,
  signal: AbortSignal,
): AsyncGenerator<AnswerPart> {
  stopIfAborted(signal);
  const chosen = choose(request, options);
  const input = inputUnits(request);
  const output = new UnitCounter();
  if (chosen.length === 0) {
    const sentence = nothingFound(request.question);
    const length = output.take(sentence, request.unitsMax);
    if (length > 0) yield { type: 'text', text: sentence.slice(0, length) };
    yield { type: 'end', finish: 'nothing-found', units: { input, output: output.count } };
    return;
  }
  let bytes = 0;
  let previous: Candidate | undefined;
  for (const candidate of chosen) {
    stopIfAborted(signal);
    const glue = previous === undefined ? '' : separator(previous, candidate);
    const whole = new UnitCounter();
    whole.push(candidate.text);
    const left = request.unitsMax - output.count;
    if (whole.count > left && (previous !== undefined || left <= 0)) {
      yield { type: 'end', finish: 'length', units: { input, output: output.count } };
      return;
    }
    output.push(glue);
    const length = output.take(candidate.text, request.unitsMax);
    const text = candidate.text.slice(0, length).trimEnd();
    yield { type: 'text', text: glue + text };
    yield citation(request, candidate, { text, at: bytes + utf8(glue).length });
    bytes += utf8(glue + text).length;
    stopIfAborted(signal);
    if (length < candidate.text.length) {
      yield { type: 'end', finish: 'length', units: { input, output: output.count } };
      return;
    }
    previous = candidate;
  }
  yield { type: 'end', finish: 'done', units: { input, output: output.count } };
}

function citation(
  request: AnswerRequest,
  candidate: Candidate,
  quoted: { readonly text: string; readonly at: number },
): AnswerPart {
  const passage = request.passages[candidate.passage]?.text ?? '';
  const length = utf8(quoted.text).length;
  const passageStart = utf8(passage.slice(0, candidate.unit.start)).length;
  return {
    type: 'citation',
    start: quoted.at,
    end: quoted.at + length,
    passage: candidate.passage,
    passageStart,
    passageEnd: passageStart + length,
  };
}

/** The units to quote, in the order in which they are read; none when the question is not answered. */
function choose(request: AnswerRequest, options: ExtractiveOptions): Candidate[] {
  const asked = readQuestion(request.question, request.terms);
  const all = candidatesOf(request.question, request.passages, asked);
  // A unit that holds the question as it was asked, mark included, repeats it and does not answer it.
  const repeated = /[?？]$/.test(request.question.trim()) ? request.question.trim() : undefined;
  const repeats = ({ text }: Candidate): boolean => repeated !== undefined && text.includes(repeated);
  const ranked = all
    .filter((candidate) => candidate.score > 0 && isQuotable(candidate) && !repeats(candidate))
    .sort(byScore);
  const first = ranked.find((candidate) => candidate.support >= options.supportMin);
  if (first === undefined) return [];
  const chosen = new Set<Candidate>();
  const take = (candidate: Candidate): void => {
    for (const part of withCompanions(all, candidate))
      if (chosen.size < options.sentencesMax) chosen.add(part);
  };
  take(first);
  while (chosen.size < options.sentencesMax) {
    const next = furthest(ranked, first, chosen);
    if (next === undefined) break;
    take(next);
  }
  return inReadingOrder([...chosen]);
}

/** The candidate that adds most: score weighed against likeness to what is chosen (maximal marginal relevance). */
function furthest(
  ranked: readonly Candidate[],
  first: Candidate,
  chosen: ReadonlySet<Candidate>,
): Candidate | undefined {
  let best: Candidate | undefined;
  let bestValue = 0;
  for (const candidate of ranked) {
    if (FURTHER_DENOMINATOR * candidate.score < FURTHER_NUMERATOR * first.score) break;
    if (chosen.has(candidate) || 5 * candidate.support < 4 * first.support) continue;
    const likeness = Math.max(...[...chosen].map((other) => jaccard(candidate.terms, other.terms)));
    // Half the same words: it repeats what was said.
    if (2 * likeness > WHOLE) continue;
    const value = SCORE_TENTHS * candidate.score - NOVELTY_TENTHS * likeness;
    if (best === undefined || value > bestValue) [best, bestValue] = [candidate, value];
  }
  return best;
}

/** A unit with what it cannot be read without: the sentence that it leans on, the list or code that it announces. */
function withCompanions(all: readonly Candidate[], candidate: Candidate): Candidate[] {
  const beside = (offset: number): Candidate | undefined =>
    all.find(
      ({ passage, position }) => passage === candidate.passage && position === candidate.position + offset,
    );
  const before = beside(-1);
  const leans = LEANS.test(candidate.text) && before?.unit.kind === 'sentence';
  const announces = candidate.text.endsWith(':') ? beside(1) : undefined;
  const announced = candidate.unit.kind === 'code' && before?.text.endsWith(':') ? before : undefined;
  const parts = [candidate, leans ? before : undefined, announced, announces];
  if (announces?.unit.kind === 'item') parts.push(beside(2), beside(3));
  return parts.filter((part) => part !== undefined);
}

function byScore(a: Candidate, b: Candidate): number {
  return b.score - a.score || a.passage - b.passage || a.position - b.position;
}

/** Passages in the order in which they were first chosen, inside each as it reads. */
function inReadingOrder(chosen: readonly Candidate[]): Candidate[] {
  const order = [...new Set(chosen.map(({ passage }) => passage))];
  return [...chosen].sort(
    (a, b) => order.indexOf(a.passage) - order.indexOf(b.passage) || a.position - b.position,
  );
}

function separator(before: Candidate, after: Candidate): string {
  if (before.passage !== after.passage) return '\n\n';
  if (before.unit.kind !== 'sentence' && before.unit.kind === after.unit.kind) return '\n';
  if (before.unit.kind !== 'sentence' || after.unit.kind !== 'sentence') return '\n\n';
  return before.unit.block === after.unit.block ? ' ' : '\n\n';
}

/** Common words in millionths of all words of both. */
function jaccard(a: ReadonlySet<string>, b: ReadonlySet<string>): number {
  let common = 0;
  for (const term of a) if (b.has(term)) common++;
  const all = a.size + b.size - common;
  return all === 0 ? 0 : Math.floor((WHOLE * common) / all);
}

function stopIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw new SaharaError('cancelled');
}
