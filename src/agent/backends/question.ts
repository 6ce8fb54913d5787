/**
 * What a question asks for, read once: its terms with what they weigh for an answer, which of them only say how it is
 * asked, and what kind of thing would answer it. Rules and lists are normative (`spec/knowledge.md`).
 */
import { analyse, questionTerms } from '../../vault/text/words.ts';
import { type AnswerKind, kindAsked } from './answer-kind.ts';
import type { WeightedTerm } from './backend.ts';
import { isPair, MAKE, sameWord, saysMake } from './same-words.ts';

/** A term as it is asked for. */
export interface AskedTerm {
  readonly term: string;
  readonly weight: number;
  /** Whether it says how something is asked rather than about what: an answer seldom repeats it. */
  readonly asking: boolean;
  /** Terms of one group stand beside each other in East Asian script: pairs of one run of characters. */
  readonly group: number;
  /** Whether it is the verb of a stretch of time, which tells with one other term that this is what was asked. */
  readonly verb: boolean;
}

/** A question as answers are held against it. */
export interface AskedQuestion {
  readonly terms: readonly AskedTerm[];
  readonly kind: AnswerKind;
}

/**
 * Words that say how something is asked rather than about what: an answer seldom repeats them. They weigh a quarter
 * where anything else is asked.
 */
const ASKING_TERMS: ReadonlySet<string> = new Set(
  analyse(
    'another big compute decide deep determine difference do does far find heavy high kind large long many need often old place size sort tall type use used version work',
  ).map(({ term }) => sameWord(term)),
);
const ASKING_PART = 4;
/** East Asian characters of grammar: kana, and those of questions and of structure. */
const GRAMMAR =
  /^[\u3041-\u3096\u7684\u4e86\u662f\u5728\u6709\u548c\u4e0e\u4e5f\u90fd\u5c31\u8981\u4f1a\u80fd\u53ef\u4ee5\u5e94\u8be5\u5417\u5462\u5427\u591a\u5c11\u51e0\u4e2a\u8fd9\u90a3\u54ea\u8c01\u4ec0\u4e48\u600e\u6837\u4e3a\u4f55\u88ab\u628a\u4ece\u5230\u8bf7\u7528\u9700\u5fc5\u987b\u91cc]$/u;
/** Parts that a pair of two characters of grammar weighs: it is there whatever is asked. */
const GRAMMAR_PART = 16;

/** The adjective or adverb of "how hot", "how fast"; what follows "how" in "how do I" is none. */
const HOW_ADJECTIVE =
  /\bhow\s+(?!do\b|does\b|did\b|is\b|are\b|was\b|were\b|can\b|could\b|should\b|shall\b|may\b|must\b|might\b|will\b|would\b|to\b|have\b|has\b|come\b)(\p{L}+)/iu;
/** Verbs of a question about a stretch of time: "how long does it last". */
const HOW_LONG_VERB = /\bhow (?:long|much time)\b.*\b(last|lasts|take|takes)\b/iu;
/** Characters of a question by which it is told how something is asked: patterns with a gap take the square of their text. */
const ASKED_CHARACTERS_MAX = 1_000;

/** Reads a question with the weights of the search, or all alike without them. */
export function readQuestion(question: string, weighed: readonly WeightedTerm[] | undefined): AskedQuestion {
  const beginning = question.slice(0, ASKED_CHARACTERS_MAX);
  const all =
    weighed !== undefined && weighed.length > 0
      ? weighed
      : questionTerms(question).map((term) => ({ term, weight: 65_536 }));
  const verb = termsAt(HOW_LONG_VERB, beginning);
  const manner = new Set([...verb, ...termsAt(HOW_ADJECTIVE, beginning)]);
  const asks = (term: string): boolean =>
    ASKING_TERMS.has(sameWord(term)) || manner.has(term) || grammarIn(term) > 0;
  const whole = all.every(({ term }) => asks(term));
  const groups = groupsOf(question, asks);
  const terms = new Map<string, AskedTerm>();
  for (const { term, weight } of all) {
    const asking = !whole && asks(term);
    const part = !asking ? 1 : grammarIn(term) === 2 ? GRAMMAR_PART : ASKING_PART;
    // Beside a character of grammar the other one is what is asked.
    const same = asking && grammarIn(term) === 1 ? contentOf(term) : sameWord(term);
    const known = terms.get(same);
    const group = groups.get(term) ?? -1 - terms.size;
    terms.set(same, {
      term: same,
      weight: Math.max(known?.weight ?? 0, Math.floor(weight / part)),
      asking,
      group,
      verb: verb.has(term),
    });
  }
  if (saysMake(question) && !terms.has(MAKE)) {
    const weight = Math.max(0, ...[...terms.values()].map((term) => term.weight));
    terms.set(MAKE, {
      term: MAKE,
      weight: Math.floor(weight / 2),
      asking: false,
      group: -1 - terms.size,
      verb: false,
    });
  }
  return { terms: [...terms.values()], kind: kindAsked(beginning) };
}

/** Characters of grammar in a pair. */
function grammarIn(term: string): number {
  return isPair(term) ? [...term].filter(isGrammar).length : 0;
}

function contentOf(pair: string): string {
  return [...pair].filter((character) => !isGrammar(character)).join('');
}

/** Whether a character of an East Asian script is one of grammar. */
export function isGrammar(character: string): boolean {
  return GRAMMAR.test(character);
}

/** The terms of the word that a pattern finds. */
function termsAt(pattern: RegExp, question: string): ReadonlySet<string> {
  return new Set(analyse(pattern.exec(question)?.[1] ?? '').map(({ term }) => term));
}

/** East Asian pairs that follow each other without grammar between them, by the position of their first one. */
function groupsOf(question: string, asks: (term: string) => boolean): ReadonlyMap<string, number> {
  const groups = new Map<string, number>();
  let group = 0;
  let last = -2;
  for (const { term, position } of analyse(question)) {
    if (!isPair(term) || asks(term)) continue;
    if (position !== last + 1) group = position;
    last = position;
    if (!groups.has(term)) groups.set(term, group);
  }
  return groups;
}
