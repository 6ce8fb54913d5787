/**
 * What kind of thing would answer a question, told by how it is asked, and whether a text has one: an amount of money, a
 * length, a weight, a temperature, a stretch of time, how often, when, or any number. What has none of that kind does not
 * answer, however many words it shares. English, the languages of `kind-words.ts`, and numbers and times in Chinese and
 * Japanese; otherwise any text will do.
 */
import { fold } from '../../vault/text/words.ts';
import {
  MOMENT_WORDS,
  MONEY_ASKED,
  MONEY_WORDS,
  NUMBER_ASKED,
  NUMBER_WORDS,
  OFTEN_ASKED,
  OFTEN_WORDS,
  SPAN_ASKED,
  SPAN_WORDS,
  TIME_ASKED,
} from './kind-words.ts';

/** A kind of answer; `undefined`: anything. */
export type AnswerKind =
  | 'money'
  | 'length'
  | 'weight'
  | 'heat'
  | 'often'
  | 'span'
  | 'time'
  | 'number'
  | undefined;

const DIGITS =
  /(?<![\p{L}\p{N}_-])\p{N}|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen|(?:twen|thir|for|fif|six|seven|eigh|nine)ty|hundreds?|thousands?|millions?|once|twice|half|halves|quarters?|thirds?|dozen|couple|several|no|none)\b|[\u4e00\u4e8c\u4e09\u56db\u4e94\u516d\u4e03\u516b\u4e5d\u5341\u767e\u5343\u4e07\u4e24\u534a\u6bcf]|\u7121\u6599|\u514d\u8d39/iu;
const MONEY =
  /[\u20ac$\u00a3\u00a5]|\b(?:crowns?|euros?|dollars?|pounds?|cents?|francs?|yen|kroner|kronor|rupees?|pesos?|grains?|sahara|free|charge|percent)\b/iu;
const SPAN =
  /\b(?:seconds?|minutes?|hours?|days?|nights?|weeks?|fortnight|months?|years?|decades?|centur(?:y|ies)|seasons?|weekends?|until|till|as long|overnight|ms)\b/iu;
const CONJUNCTION =
  /\b(?:before|after|while|during|when|whenever|once|if|as soon as|ago|at once|always|never)\b/iu;
const MOMENT =
  /\b(?:at (?:dawn|dusk|night|noon|sunset|sunrise|midnight)|on the hour|evenings?|mornings?|afternoons?|noon|midnight|sunset|sunrise|dusk|dawn|spring|summer|autumn|winter|(?:mon|tues|wednes|thurs|fri|satur|sun)days?|january|february|march|april|may|june|july|august|september|october|november|december|today|holidays?)\b|[\u65e5\u6708\u5e74\u70b9\u6642\u65f6\u6668\u665a\u671d\u591c\u5348\u6625\u590f\u79cb\u51ac\u5468\u661f\u671f\u66dc]/iu;
const YEAR_OR_CLOCK =
  /\b\d{4}\b|\b\d{1,2}(?::\d{2}|\s?[ap]m\b)|\b(?:at|from|until|by|past|to) (?:half )?(?:\d|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|a quarter)\b/iu;
const LENGTH =
  /\b(?:(?:kilo|centi|milli)?met(?:re|er)s?|miles?|foot|feet|inch(?:es)?|yards?|storeys?|km|cm|mm|m)\b/iu;
const WEIGHT = /\b(?:(?:kilo|milli)?grams?|kilos?|tons?|tonnes?|pounds?|ounces?|kg|g)\b/iu;
const HEAT = /\b(?:degrees?|celsius|fahrenheit|boil\w*|freez\w*)\b|\u00b0|\u5ea6/iu;
const OFTEN =
  /\b(?:every|each|once|twice|times|daily|weekly|monthly|yearly|hourly|per|never|always|regularly|(?:a|an) (?:hour|day|week|month|year))\b/iu;

interface Kind {
  readonly kind: Exclude<AnswerKind, undefined>;
  readonly asked: RegExp;
  /** The same in other languages, of a folded question. */
  readonly askedElsewhere?: RegExp;
  readonly has: (text: string) => boolean;
}

/** The first that a question matches is its kind. */
const KINDS: readonly Kind[] = [
  {
    kind: 'money',
    asked: /\b(?:what|how much)\b.*\b(?:costs?|price|fee|fare|rent|pay|paid|charged?)\b/iu,
    askedElsewhere: MONEY_ASKED,
    has: (text) => MONEY.test(text) || MONEY_WORDS.test(fold(text)),
  },
  {
    kind: 'heat',
    asked: /\bhow (?:hot|cold|warm)\b|\bwhat temperature\b|\bwhich temperature\b/iu,
    has: (text) => HEAT.test(text),
  },
  { kind: 'weight', asked: /\bhow heavy\b|\bweigh\b/iu, has: (text) => WEIGHT.test(text) },
  {
    kind: 'often',
    asked: /\bhow (?:often|frequently)\b|\bhow many times\b/iu,
    askedElsewhere: OFTEN_ASKED,
    has: (text) => OFTEN.test(text) || OFTEN_WORDS.test(fold(text)) || isNumber(text),
  },
  {
    kind: 'span',
    asked:
      /\bhow (?:long|old|soon|late|early|much time|far (?:ahead|in advance))\b|\bfor how (?:long|many)\b/iu,
    askedElsewhere: SPAN_ASKED,
    has: (text) => isSpan(text) || LENGTH.test(text),
  },
  {
    kind: 'length',
    asked: /\bhow (?:high|tall|deep|wide|thick|far)\b/iu,
    has: (text) => LENGTH.test(text),
  },
  {
    kind: 'time',
    asked:
      /^(?:and |so |please |tell me |but )*when\b|\b(?:since|until|till|from|by) when\b|\b(?:what|which) (?:time|days?|date|year|months?|week|hours?)\b|\u4ec0\u4e48\u65f6\u5019|\u4f55\u65f6|\u51e0\u70b9|\u3044\u3064|\u4f55\u6642|\u4f55\u65e5|\u4f55\u66dc\u65e5/iu,
    askedElsewhere: TIME_ASKED,
    has: (text) => isMoment(text) || CONJUNCTION.test(text) || isSpan(text),
  },
  {
    kind: 'number',
    asked:
      /\bhow (?:many|much|fast|slow|large|big|small|strong|loud)\b|\bwhat (?:number|percentage|share|size)\b|\u591a\u5c11|\u51e0|\u591a[\u4e45\u957f\u6df1\u9ad8\u5927\u8fdc\u91cd\u5bbd]|\u3044\u304f\u3089|\u3044\u304f\u3064|\u4f55[\u518a\u679a\u672c\u4eba\u5206\u5ea6\u968e\u56de\u6b73\u5186\u500b\u53f0\u756a]|\u3069\u306e\u304f\u3089\u3044|\u3069\u308c\u304f\u3089\u3044/iu,
    askedElsewhere: NUMBER_ASKED,
    has: isNumber,
  },
];

/** The kind of thing that a question asks for. */
export function kindAsked(question: string): AnswerKind {
  const folded = fold(question).replace(/^[^\p{L}]+/u, '');
  return KINDS.find(({ asked, askedElsewhere }) => asked.test(question) || askedElsewhere?.test(folded))
    ?.kind;
}

/** Whether a text has a thing of a kind. */
export function hasKind(kind: AnswerKind, text: string): boolean {
  return KINDS.find((known) => known.kind === kind)?.has(text) ?? true;
}

/** Whether a text has one that tells: numbers stand everywhere, and so do words such as "when". */
export function hasTelling(kind: AnswerKind, text: string): boolean {
  if (kind === 'time') return isMoment(text);
  return kind !== undefined && kind !== 'number' && hasKind(kind, text);
}

function isMoment(text: string): boolean {
  return MOMENT.test(text) || YEAR_OR_CLOCK.test(text) || MOMENT_WORDS.test(fold(text));
}

function isSpan(text: string): boolean {
  return SPAN.test(text) || SPAN_WORDS.test(fold(text));
}

function isNumber(text: string): boolean {
  return DIGITS.test(text) || NUMBER_WORDS.test(fold(text));
}
