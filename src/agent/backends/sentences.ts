/**
 * Which sentences of the passages answer a question: a score in integers for each, so that every machine chooses the
 * same. `spec/knowledge.md` is normative; millionths throughout.
 */

import { type Language, languageOf } from '../../vault/text/language.ts';
import { countWords } from '../../vault/text/scan.ts';
import { type Unit, unitsOf } from '../../vault/text/sentences.ts';
import { analyse, questionTokens } from '../../vault/text/words.ts';
import { hasKind, hasTelling, isStrict } from './answer-kind.ts';
import type { Passage } from './backend.ts';
import { type AskedQuestion, type AskedTerm, isGrammar } from './question.ts';
import { heldTerms, isPair } from './same-words.ts';

/** One millionth is the unit of scores. */
export const WHOLE = 1_000_000;

/** A quotable unit of a passage with what it is worth. */
export interface Candidate {
  readonly passage: number;
  /** Position among the units of its passage. */
  readonly position: number;
  readonly unit: Unit;
  readonly text: string;
  /** Distinct terms of its text. */
  readonly terms: ReadonlySet<string>;
  /** Share of the question's weight that its own text covers. */
  readonly coverage: number;
  /**
   * The same with two fifths of what only its title and the units beside it cover, of nine tenths of the weight, more where
   * it has the kind of thing that is asked for and less where it has not; zero unless enough terms of the question are held.
   */
  readonly support: number;
  readonly score: number;
}

/** What counts of the terms that only title and units beside hold. */
const AROUND_NUMERATOR = 2;
const AROUND_DENOMINATOR = 5;
/** An answer seldom repeats all of a question: this part of its weight is taken for the whole. */
const REPEATED_NUMERATOR = 9;
const REPEATED_DENOMINATOR = 10;
const LACKING_PART = 64;
const APART_NUMERATOR = 2;
const APART_DENOMINATOR = 3;
/** Units in a row in which neighbouring words of the question stand together. */
const APART_UNITS = 3;
const NEIGHBOUR_NUMERATOR = 3;
const NEIGHBOUR_DENOMINATOR = 10;
/** What a unit's support loses that has not the kind of thing that is asked for. */
const KIND_LACKING = 400_000;
/** What it gains where it has one that is more than a number. */
const KIND_HELD = 125_000;
const RANK_BONUS = 250_000;
const CUE_BONUS = 100_000;
const DEFINITION_BONUS = 200_000;
/** What a unit of a passage in the question's language gains. */
const LANGUAGE_BONUS = 150_000;
/** What a unit keeps, in halves, when the question asks for a definition and another unit is one. */
const UNDEFINING_PART = 2;
/** Tenths of its score that a table row keeps: out of its table it reads badly, unless it defines what was asked. */
const ROW_TENTHS = 7;
const PLAIN_LENGTH = 18;
const WORDS_MIN = 3;
/** A question of several terms is not answered by one of them. */
const TERMS_MIN = 2;

/** Every quotable unit of the passages, scored. */
export function candidatesOf(
  question: string,
  passages: readonly Passage[],
  asked: AskedQuestion,
): Candidate[] {
  if (asked.terms.every(({ weight }) => weight === 0)) return [];
  const best = Math.max(1, ...passages.map(({ score }) => score));
  const read = passages.map((passage) => readPassage(passage));
  const parted = partedTerms(question, asked, read);
  const language = languageOf(question);
  const found = passages.flatMap((passage, index) => {
    const { units, sets, titles, heads } = read[index] ?? readPassage(passage);
    const spoken = language !== undefined && languageOf(passage.text) === language ? LANGUAGE_BONUS : 0;
    // Scores of a search reach 2^48.
    const rank = Number((BigInt(Math.max(0, passage.score)) * BigInt(RANK_BONUS)) / BigInt(best));
    const everywhere = [...titles, ...sets];
    return units.map((unit, position): Candidate & { readonly defines: boolean } => {
      const own = sets[position] ?? new Set<string>();
      const title = titles[position] ?? new Set<string>();
      const text = passage.text.slice(unit.start, unit.end);
      const [before, behind] = [sets[position - 1], sets[position + 1]];
      const told = `${heads[position] ?? ''}${text}`;
      const kindThere = asked.kind !== undefined && hasKind(asked.kind, told);
      const kindHeld = kindThere && hasTelling(asked.kind, told);
      const kinds = { kindHeld, kindThere };
      const measured = measure(asked, { own, title, before, behind, everywhere, parted, ...kinds });
      const { coverage, around } = measured;
      const context = Math.floor((NEIGHBOUR_NUMERATOR * around) / NEIGHBOUR_DENOMINATOR);
      const shaped = Math.floor((1000 * (coverage + context)) / lengthDivisor(countWords(text)));
      const defining = asksDefinition(question) && defines(question, passage, unit, text);
      const bonus = cues(question, unit, text) + (defining ? DEFINITION_BONUS : 0) + spoken;
      const full = coverage === 0 && measured.titled === 0 ? 0 : shaped + rank + bonus;
      const score = unit.kind === 'row' && !defining ? Math.floor((ROW_TENTHS * full) / 10) : full;
      const support = withKind(asked, kinds, measured.support);
      return {
        passage: index,
        position,
        unit,
        text,
        terms: own,
        coverage,
        support,
        score,
        defines: defining,
      };
    });
  });
  if (!found.some((candidate) => candidate.defines && candidate.support > 0)) return found;
  return found.map((candidate) =>
    candidate.defines ? candidate : { ...candidate, score: Math.floor(candidate.score / UNDEFINING_PART) },
  );
}

type Terms = ReadonlySet<string>;

/** A unit's terms, those above and beside it, those of the whole passage, and what the question parts. */
interface Surroundings extends KindFound {
  readonly own: Terms;
  readonly title: Terms;
  readonly before: Terms | undefined;
  readonly behind: Terms | undefined;
  readonly everywhere: readonly Terms[];
  readonly parted: Terms;
}

/** Whether a unit has the kind of thing that is asked for, and whether that tells. */
interface KindFound {
  readonly kindHeld: boolean;
  readonly kindThere: boolean;
}

/** Shares of the question's weight that a unit covers, floored to millionths. */
function measure(
  asked: AskedQuestion,
  { own, title, before, behind, everywhere, parted, kindHeld, kindThere }: Surroundings,
): { readonly coverage: number; readonly titled: number; readonly around: number; readonly support: number } {
  const here = (term: string): boolean => own.has(term) || title.has(term);
  const terms = asked.terms.filter(
    (term) => here(term.term) || !((term.asking && kindThere) || isSeam(term, asked, here)),
  );
  const total = Math.max(
    1,
    terms.reduce((sum, { weight }) => sum + weight, 0),
  );
  const share = (held: (term: string) => boolean | undefined): number =>
    Math.floor((WHOLE * terms.reduce((sum, { term, weight }) => sum + (held(term) ? weight : 0), 0)) / total);
  const coverage = share((term) => own.has(term));
  const titled = share((term) => here(term)) - coverage;
  const around = share((term) => here(term) || before?.has(term) || behind?.has(term)) - coverage;
  const topical = terms.filter(({ asking }) => !asking);
  const groups = new Set(topical.map(({ group }) => group)).size;
  const telling = kindHeld || terms.some(({ term, verb }) => verb && own.has(term));
  // A unit that names something of the question may leave the rest to the one that it follows.
  const follows = topical.some(({ term }) => own.has(term));
  const names = (term: string): boolean => here(term) || (follows && before?.has(term) === true);
  const named = new Set(topical.filter(({ term }) => names(term)).map(({ group }) => group)).size;
  // What was asked about has to be named, whatever else is told.
  const held = named === 0 ? 0 : named + (telling ? 1 : 0);
  // Of one thing alone nothing tells that it is what was asked, unless what was asked for is there.
  const lacksKind = asked.kind !== undefined && !kindThere && (groups < TERMS_MIN || isStrict(asked.kind));
  if (held < Math.min(TERMS_MIN, groups) || lacksKind) return { coverage, titled, around, support: 0 };
  const apart = share((term) => parted.has(term));
  const beside = Math.floor((AROUND_NUMERATOR * around) / AROUND_DENOMINATOR);
  const lacking = WHOLE - share((term) => everywhere.some((set) => set.has(term)));
  const less = Math.floor((APART_NUMERATOR * apart) / APART_DENOMINATOR) + Math.floor(lacking / LACKING_PART);
  const whole = Math.floor((REPEATED_DENOMINATOR * (coverage + beside - less)) / REPEATED_NUMERATOR);
  const support = Math.max(0, Math.min(WHOLE, whole));
  return { coverage, titled, around, support };
}

/** A unit's support with what it has of the kind of thing that is asked for, or lacks of it. */
function withKind({ kind }: AskedQuestion, { kindHeld, kindThere }: KindFound, support: number): number {
  if (kind === undefined || support === 0) return support;
  if (!kindThere) return Math.max(0, support - KIND_LACKING);
  return kindHeld ? Math.min(WHOLE, support + KIND_HELD) : support;
}

/** A pair of characters where two words of the question meet: each stands in another pair of it that is held, or is of grammar. */
function isSeam({ term }: AskedTerm, asked: AskedQuestion, held: (term: string) => boolean): boolean {
  if (!isPair(term)) return false;
  const elsewhere = asked.terms.filter((other) => other.term !== term && held(other.term));
  return [...term].every(
    (character) => isGrammar(character) || elsewhere.some((other) => other.term.includes(character)),
  );
}

interface ReadPassage {
  readonly units: readonly Unit[];
  /** Terms of each unit. */
  readonly sets: readonly ReadonlySet<string>[];
  /** Terms of what stands above each unit: the passage's title, and for a row of a table its first row too. */
  readonly titles: readonly ReadonlySet<string>[];
  /** The text of that first row and a line feed, for a row below it: its column says what kind of thing stands there. */
  readonly heads: readonly string[];
}

function readPassage({ title, text }: Passage): ReadPassage {
  const units = unitsOf(text);
  const language = languageOf(text);
  const sets = units.map((unit) => termSet(text.slice(unit.start, unit.end), language));
  const above = termSet(title, language);
  const rows = units.map((unit) =>
    unit.kind === 'row' ? units.findIndex(({ block }) => block === unit.block) : -1,
  );
  const titles = rows.map((head) => (head < 0 ? above : new Set([...above, ...(sets[head] ?? [])])));
  const heads = rows.map((head, position) => {
    const first = units[head];
    return first === undefined || head === position ? '' : `${text.slice(first.start, first.end)}\n`;
  });
  return { units, sets, titles, heads };
}

/**
 * Terms that the question puts directly behind another ("credit card") while no unit with its title and the one
 * behind it holds both, though the passages hold each: they speak of something else.
 */
function partedTerms(
  question: string,
  asked: AskedQuestion,
  read: readonly ReadPassage[],
): ReadonlySet<string> {
  const parted = new Set<string>();
  const together = (wanted: readonly string[]): boolean =>
    read.some(({ titles, sets }) =>
      sets.some((_, at) =>
        wanted.every(
          (term) => titles[at]?.has(term) || sets.slice(at, at + APART_UNITS).some((near) => near.has(term)),
        ),
      ),
    );
  const topical = new Set(asked.terms.flatMap(({ term, asking }) => (asking ? [] : [term])));
  const tokens = questionTokens(question).filter(({ term }) => topical.has(term) && together([term]));
  for (const { term, position } of tokens) {
    const before = tokens.find((other) => other.position === position - 1);
    // A term that stands apart itself is not held against the one behind it.
    if (before === undefined || parted.has(before.term)) continue;
    if (!together([before.term, term])) parted.add(term);
  }
  return parted;
}

/** Whether a unit says anything by itself. */
export function isQuotable(candidate: Candidate): boolean {
  return candidate.unit.kind !== 'sentence' || countWords(candidate.text) >= WORDS_MIN;
}

/** The integer square root, rounded down. */
export function integerRoot(value: bigint): bigint {
  if (value < 2n) return value;
  let root = 1n << BigInt((value.toString(2).length + 1) >> 1);
  for (;;) {
    const next = (root + value / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

/** 1000 times the fourth root of `words` / 18, rounded down, so that long sentences pay for their length. */
export function lengthDivisor(words: number): number {
  const scaled = (BigInt(Math.max(words, 6)) * 10n ** 12n) / BigInt(PLAIN_LENGTH);
  return Number(integerRoot(integerRoot(scaled)));
}

function termSet(text: string, language: Language | undefined): ReadonlySet<string> {
  return new Set(heldTerms(text, language));
}

const NUMBER = /\p{N}/u;
const DATE =
  /\b(?:1\d{3}|20\d{2})\b|\b(?:january|february|march|april|may|june|july|august|september|october|november|december|monday|tuesday|wednesday|thursday|friday|saturday|sunday)\b|\b\d{1,2}:\d{2}\b/i;
const NAME = /(?:^|\s)\p{Lu}[\p{L}'\u2019.-]*\s+\p{Lu}\p{L}/u;
const REASON =
  /\b(?:because|since|so that|therefore|in order to|otherwise|reason|to avoid|to keep|due to)\b/i;
const DEFINITION =
  /^(?:(?:an?|the)\s+)?[\p{L}\p{N}`_ -]{2,60}?\s+(?:is (?:an?|the|one|any|anything|something|what|who|where|how)|are(?!\s\p{L}+ed\s)|means|refers to|denotes)\s/iu;
/** What follows the noun that a subject is about: "the payee | of a channel is". */
const BEHIND_HEAD =
  /\s(?:of|in|on|for|from|to|with|without|that|which|who)\s|\s(?:is|are|means|refers to|holds|denotes)\s/i;
const HOW_TO = /^to\s[^.]{2,100}?\b(?:add|give|pass|run|set|start|use)\b/i;
const DEFINITION_ASKED = /^(?:what(?:'s| is| are)|what do(?:es)? .+ (?:do|mean)|define|explain)\b/;
const INSTRUCTION = /`|\b(?:run|use|set|call|add|open|click|type|install|choose|press|enter|first|then)\b/i;

/** What the kind of question favours: names for who, dates for when, numbers for how many, reasons for why. */
function cues(question: string, unit: Unit, text: string): number {
  const asked = question.trim().toLowerCase();
  let bonus = 0;
  const favour = (kind: RegExp, holds: boolean): void => {
    if (kind.test(asked) && holds) bonus += CUE_BONUS;
  };
  favour(/\bwho(?:m|se)?\b/, NAME.test(text));
  favour(/\bwhen\b|\bwhat (?:date|time|year|day)\b/, DATE.test(text));
  favour(/\bhow (?:many|much|long|often|old|far|fast|big|large)\b/, NUMBER.test(text));
  favour(/\bwhy\b/, REASON.test(text));
  favour(
    /\bhow (?:do|does|to|can|should)\b/,
    unit.kind === 'code' || unit.kind === 'item' || INSTRUCTION.test(text),
  );
  favour(/\bhow (?:do|does|to|can|should)\b/, HOW_TO.test(text));
  favour(
    /^(?:which|list|name)\b|\bwhat (?:are|kinds?|types?)\b/,
    unit.kind === 'item' || unit.kind === 'row',
  );
  return bonus;
}

/** Whether a question asks what something is. */
function asksDefinition(question: string): boolean {
  const asked = question.trim().toLowerCase();
  return DEFINITION_ASKED.test(asked) && !/\bdifferences?\b/.test(asked);
}

/** A definition of what was asked: "X is ..." or a row about X of a table of two columns, where X is in the question. */
function defines(question: string, passage: Passage, unit: Unit, text: string): boolean {
  const language = languageOf(question);
  const wanted = termSet(question, language);
  if (unit.kind === 'row') {
    const [, cell = '', meaning = '', ...more] = text.split('|');
    // A table of more columns lists properties, not meanings.
    if (more.length > 1) return false;
    const named = cell.trim().toLowerCase();
    const words = question.toLowerCase().split(/[^\p{L}\p{N}]+/u);
    return (
      words.includes(named) &&
      wanted.has(analyse(named, language)[0]?.term ?? '') &&
      countWords(meaning) >= WORDS_MIN
    );
  }
  const match = DEFINITION.exec(text);
  if (match === null) return false;
  const [subject = ''] = match[0].split(BEHIND_HEAD);
  const pronoun = /^(?:it|this|that|they)\b/i.test(text);
  const head = analyse(subject, language).at(-1);
  const known = pronoun ? termSet(passage.title, language) : new Set(head === undefined ? [] : [head.term]);
  return [...wanted].some((term) => known.has(term));
}
