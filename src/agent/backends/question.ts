/**
 * What a question asks for, read once: its terms with what they weigh for an answer, which of them only say how it is
 * asked, and what kind of thing would answer it. Rules and lists are normative (`spec/knowledge.md`).
 */
import { type Language, languageOf } from '../../vault/text/language.ts';
import { questionTerms, questionTokens, termsAsked } from '../../vault/text/words.ts';
import { type AnswerKind, kindAsked } from './answer-kind.ts';
import type { WeightedTerm } from './backend.ts';
import { isPair, MAKE, saysMake } from './same-words.ts';

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
const ASKING_WORDS: Readonly<Partial<Record<Language, string>>> = {
  en: `allow another become big bring buy call come compute cost date day decide deep determine difference do does done far find get
    give go happen heavy high hour keep kind large long many may month name need often old order place possible price put say size sort
    stand start take tall tell time type use used version want week work year`,
  de: `alt befinden bekommen bringen mitbringen mitnehmen benotigen brauchen breit erhalten erlaubt finden geben gehen genau geschehen gibt gross haufig heissen
    heißen hoch jahr kommen kosten kostet lang lange liegen machen moglich monat oft passieren preis schnell schwer stehen stunde tag tage
    teuer tief tun uhr uhrzeit viel viele weit woche zeit`,
  fr: `annee appeler arriver autoriser besoin combien couter coute coutent date devenir faire grand heure jour jours long mois obtenir payer
    possible prix profond recevoir semaine temps tarif trouver utiliser`,
  es: `alto ano antelacion costar cuesta cuestan dia dias encontrar fecha hacer hora horas llamar mes meses pagar pasar permitir poner precio recibir
    semana tamano tiempo usar valer vale veces`,
  it: `anno arrivare bisogna chiamare costare costa costano fare giorno giorni grande mese mesi ora ore pagare permettere portare prezzo ricevere
    servire settimana succedere succede tempo trovare usare`,
  pt: `acontecer ano chamar custar custa custam dia dias encontrar fazer hora horas levar mes meses pagar preco receber semana tamanho
    tempo usar valer`,
  nl: `betalen dag dagen diep gebeuren gebeurt groot heten hoog jaar keer kosten kost krijgen kunnen laat lang maand mogen prijs staan tijd
    toegestaan uur vaak vinden week worden`,
  ru: `время год день дни дням какой месяц можно найти находиться находится неделя плата получить стоит стоить стоимость цена час часа
    разрешено составляет`,
};
const ASKING_TERMS = new Map<Language | undefined, ReadonlySet<string>>();

/** Stems of the asking words of a language; of English where there is none. */
function askingTerms(language: Language | undefined): ReadonlySet<string> {
  const known = ASKING_TERMS.get(language);
  if (known !== undefined) return known;
  const words = (language && ASKING_WORDS[language]) ?? ASKING_WORDS.en ?? '';
  const stems = new Set(words.split(/\s+/).flatMap((word) => termsAsked(word, language)));
  ASKING_TERMS.set(language, stems);
  return stems;
}
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
  const all: readonly WeightedTerm[] =
    weighed !== undefined && weighed.length > 0
      ? weighed
      : questionTerms(question).map((term) => ({ term, weight: 65_536 }));
  const asking = askingTerms(languageOf(question));
  const verb = termsAt(HOW_LONG_VERB, beginning);
  const how = new Set([...verb, ...termsAt(HOW_ADJECTIVE, beginning)]);
  const asks = (term: string): boolean => asking.has(term) || how.has(term) || grammarIn(term) > 0;
  const whole = all.every(({ term, corrects }) => asks(corrects ?? term));
  const groups = groupsOf(question, asks);
  const terms = new Map<string, AskedTerm>();
  for (const { term: found, weight, corrects } of all) {
    // How something is asked is known by the word as it was asked.
    const term = corrects !== undefined && asks(corrects) ? corrects : found;
    const manner = !whole && asks(term);
    const part = !manner ? 1 : grammarIn(term) === 2 ? GRAMMAR_PART : ASKING_PART;
    // Beside a character of grammar the other one is what is asked.
    const same = manner && grammarIn(term) === 1 ? contentOf(term) : term;
    const known = terms.get(same);
    const group = groups.get(term) ?? -1 - terms.size;
    terms.set(same, {
      term: same,
      weight: Math.max(known?.weight ?? 0, Math.floor(weight / part)),
      asking: manner,
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
  return new Set(questionTokens(pattern.exec(question)?.[1] ?? '', question).map(({ term }) => term));
}

/** East Asian pairs that follow each other without grammar between them, by the position of their first one. */
function groupsOf(question: string, asks: (term: string) => boolean): ReadonlyMap<string, number> {
  const groups = new Map<string, number>();
  let group = 0;
  let last = -2;
  for (const { term, position } of questionTokens(question)) {
    if (!isPair(term) || asks(term)) continue;
    if (position !== last + 1) group = position;
    last = position;
    if (!groups.has(term)) groups.set(term, group);
  }
  return groups;
}
