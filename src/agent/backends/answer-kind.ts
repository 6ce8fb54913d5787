/**
 * What kind of thing would answer a question, told by how it is asked, and whether a text has one: an amount of money, a
 * temperature, a weight, a length, an area, how fast, how often, a stretch of time, when, any number, who, why. What has none
 * of that kind does not answer, however many words it shares. English, the languages of `kind-words.ts`, and of these most in
 * Chinese and Japanese; otherwise any text will do.
 */
import { fold } from '../../vault/text/words.ts';
import {
  CLOCK,
  EACH,
  HEAT_ASKED,
  HEAT_WORDS,
  LENGTH_ASKED,
  LENGTH_WORDS,
  MOMENT_WORDS,
  MONEY_ASKED,
  MONEY_WORDS,
  NUMBER_ASKED,
  NUMBER_WORDS,
  OFTEN_ASKED,
  OFTEN_WORDS,
  PERSON_ASKED,
  PERSON_WORDS,
  REASON_ASKED,
  REASON_WORDS,
  SPAN_ASKED,
  SPAN_WORDS,
  TIME_ASKED,
  WEIGHT_ASKED,
  WEIGHT_WORDS,
} from './kind-words.ts';

/** A kind of answer; `undefined`: anything. */
export type AnswerKind =
  | 'money'
  | 'heat'
  | 'weight'
  | 'area'
  | 'length'
  | 'speed'
  | 'often'
  | 'span'
  | 'time'
  | 'number'
  | 'person'
  | 'reason'
  | undefined;

const DIGITS =
  /(?<![\p{L}\p{N}_-])\p{N}|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen|(?:twen|thir|for|fif|six|seven|eigh|nine)ty|hundreds?|thousands?|millions?|once|twice|half|halves|quarters?|thirds?|dozen|couple|several|no|none)\b|[一二三四五六七八九十百千万两半每]|無料|免费/iu;
const MONEY =
  /[€$£¥]|\b(?:crowns?|euros?|dollars?|pounds?|cents?|francs?|yen|kroner|kronor|rupees?|pesos?|grains?|sahara|free|charge|percent)\b|\p{N}\s?%|[元块角圆円銭钱]|免费|無料|半[价額]/iu;
const SPAN =
  /\b(?:seconds?|minutes?|hours?|days?|nights?|weeks?|fortnight|months?|years?|decades?|centur(?:y|ies)|seasons?|weekends?|until|till|as long|overnight|ms)\b|[\d一二三四五六七八九十百两半数几]\s*(?:分[钟鐘間]?|个?小时|個?小時|時間|天|日|周|週|个?月|[かヶケ]月|年|秒)|一晩|一夜|隔夜/iu;
/** One of a stretch of time that is not counted: in "night train" and "day ticket" it lasts nothing. */
const UNCOUNTED =
  /(?<!\b(?:an?|one|half|whole|full|another|next|same|\p{N}+)[ -](?:\p{L}+ )?)\b(?:second|minute|hour|day|night|week|month|year)\b/giu;
const CONJUNCTION =
  /\b(?:before|after|while|during|when|whenever|once|if|as soon as|ago|at once|always|never)\b/iu;
const MOMENT =
  /\b(?:at (?:dawn|dusk|night|noon|sunset|sunrise|midnight)|on the hour|evenings?|mornings?|afternoons?|noon|midnight|sunset|sunrise|dusk|dawn|spring|summer|autumn|winter|(?:mon|tues|wednes|thurs|fri|satur|sun)days?|january|february|march|april|may|june|july|august|september|october|november|december|today|holidays?)\b|[日月年点時时晨晚朝夜午春夏秋冬周星期曜]/iu;
const YEAR_OR_CLOCK =
  /\b\d{4}\b|\b\d{1,2}(?::\d{2}|\s?[ap]m\b)|\b(?:at|from|until|by|past|to) (?:half )?(?:\d|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|a quarter)\b/iu;
const LENGTH =
  /\b(?:(?:kilo|centi|milli)?met(?:re|er)s?|miles?|foot|feet|inch(?:es)?|yards?|storeys?|km|cm|mm|m)\b|\p{N}(?:km|cm|mm|m)\b|[\d一二三四五六七八九十百千万两]\s*(?:公里|千米|厘米|毫米|米|尺|里|[层層階])|メートル|センチ|ミリ|キロ/iu;
const AREA = /\b(?:square|acres?|hectares?|m2)\b|²|平方|公顷|亩|ヘクタール|坪|[畳帖]/iu;
const WEIGHT =
  /\b(?:(?:kilo|milli)?grams?|kilos?|tons?|tonnes?|pounds?|ounces?|kg|g)\b|\p{N}(?:kg|g)\b|公斤|千克|[克斤吨]|グラム|キロ|トン/iu;
const HEAT = /\b(?:degrees?|celsius|fahrenheit|boil\w*|freez\w*)\b|[°度]/iu;
const SPEED =
  /\b(?:per|an|a|each|every|in) (?:\p{L}+ )?(?:seconds?|minutes?|hours?|days?|weeks?)\b|\b(?:knots|mph)\b|\/(?:s|h|min)\b|bit|速/iu;
const OFTEN =
  /\b(?:every|each|once|twice|times|daily|weekly|monthly|yearly|hourly|per|never|always|regularly|(?:a|an) (?:hour|day|week|month|year))\b/iu;
const PERSON =
  /\b(?:who|whoever|anyone|anybody|everyone|everybody|someone|nobody|no one|all|people|persons?|men|man|wom[ae]n|child(?:ren)?|adults?|boys?|girls?|parents?|famil(?:y|ies)|members?|residents?|visitors?|guests?|students?|pupils?|teachers?|staff|employees?|workers?|tenants?|landlord|landlady|neighbours?|customers?|patients?|doctors?|nurses?|owners?|users?|readers?|citizens?|beginners?|volunteers?|trainers?|drivers?|inspectors?|guards?|wardens?|caretakers?|engineers?|architects?|monks?|firm|company|office|desk|department|board|committee|council|town|club|team|crew|workshop|management|ministry|court|police|head|chair\p{L}*|president|secretary|treasurer|director|manager|conductor|leader|mr|mrs|ms|dr|(?:\p{L}+-?)(?:keeper|maker|master|holder|leader|man|woman|men|women|people)s?)\b|[人员員者家师師长長氏]|老板|教练|さん|先生|太太|主任|经理|公司|们|係/iu;
/** A name: a word with a capital that begins no sentence, and is no time. */
const NAME =
  /[\p{Ll}\p{N},;:] ["“(]?(?!(?:January|February|March|April|May|June|July|August|September|October|November|December|(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)days?|I)\b)\p{Lu}\p{L}/u;
const REASON =
  /\b(?:because|since|so|as|for|to|otherwise|else|therefore|hence|thus|due|reason|avoid|prevents?|too|lest|by|that is why)\b|[:;]|因为|因為|由于|所以|为了|以免|否则|避免|から|ので|ため|ないように/iu;

interface Kind {
  readonly kind: Exclude<AnswerKind, undefined>;
  readonly asked: RegExp;
  /** The same in other languages, of a folded question. */
  readonly askedElsewhere?: RegExp;
  readonly has: (text: string) => boolean;
  /** Whether nothing answers without one: it is named by few words, which are all known. */
  readonly strict?: true;
}

/** Of folded text: a letter with a mark ends no word. */
const either =
  (english: RegExp, other: RegExp) =>
  (text: string): boolean => {
    const folded = fold(text);
    return english.test(folded) || other.test(folded);
  };
const isMoney = either(MONEY, MONEY_WORDS);
const isHeat = either(HEAT, HEAT_WORDS);
const isWeight = either(WEIGHT, WEIGHT_WORDS);
const isLength = either(LENGTH, LENGTH_WORDS);
const isSpan = either(SPAN, SPAN_WORDS);

/** The first that a question matches is its kind. */
const KINDS: readonly Kind[] = [
  {
    kind: 'money',
    asked:
      /\b(?:what|how much|how high)\b.*\b(?:costs?|price|fee|fare|rent|deposit|pay|paid|charged?)\b|多少[钱元]|几[元块]|(?:费用|价格|价钱|票价|学费|租金)是?多少|いくら(?!つ)|何円/iu,
    askedElsewhere: MONEY_ASKED,
    has: isMoney,
    strict: true,
  },
  {
    kind: 'heat',
    asked: /\bhow (?:hot|cold|warm)\b|\b(?:what|which) temperature\b|多少度|[水气室]温|何度の/iu,
    askedElsewhere: HEAT_ASKED,
    has: isHeat,
    strict: true,
  },
  {
    kind: 'weight',
    asked: /\bhow heavy\b|\b(?:what|how much)\b.*\bweighs?\b|多重|重さ|几公斤|何キロの重/iu,
    askedElsewhere: WEIGHT_ASKED,
    has: isWeight,
    strict: true,
  },
  { kind: 'area', asked: /面积|面積|広さ/u, has: (text) => AREA.test(text), strict: true },
  {
    kind: 'often',
    asked: /\bhow (?:often|frequently)\b|\bhow many times\b/iu,
    askedElsewhere: OFTEN_ASKED,
    has: (text) => OFTEN.test(text) || OFTEN_WORDS.test(fold(text)) || isNumber(text),
  },
  {
    kind: 'span',
    asked:
      /\bhow (?:long|old|much time|far (?:ahead|in advance))\b|\bfor how (?:long|many)\b|多久|多长时间|几(?:天|分钟|小时|个月|年)|何(?:分|時間|日間|週間|年間)/iu,
    askedElsewhere: SPAN_ASKED,
    has: (text) => isCountedSpan(text) || isLength(text),
    strict: true,
  },
  {
    kind: 'length',
    asked: /\bhow (?:tall|deep|wide|thick|far)\b|多[深长宽高远]|几米|[深高長]さ|何(?:メートル|キロ)/iu,
    askedElsewhere: LENGTH_ASKED,
    has: (text) => isLength(text),
    strict: true,
  },
  {
    kind: 'time',
    asked:
      /^(?:and |so |please |tell me |but )*when\b|\bhow (?:soon|late|early)\b|\b(?:since|until|till|from|by) when\b|\b(?:what|which) (?:time|days?|date|year|months?|week|hours?)\b|什么时候|何时|几点|いつ|何時|何日|何曜日/iu,
    askedElsewhere: TIME_ASKED,
    has: (text) => isMoment(text) || CONJUNCTION.test(text) || isSpan(text),
  },
  {
    kind: 'speed',
    asked: /\bhow (?:fast|slow)\b/iu,
    has: (text) => SPEED.test(text) || isCountedSpan(text) || isLength(text),
    strict: true,
  },
  {
    kind: 'number',
    asked:
      /\bhow (?:many|much|high|large|big|small|strong|loud)\b|\bwhat (?:number|percentage|share|size)\b|多少|几|多[久大]|いくら|いくつ|何[冊枚本人分度階回歳円個台番]|どのくらい|どれくらい/iu,
    askedElsewhere: NUMBER_ASKED,
    has: isNumber,
  },
  {
    kind: 'person',
    asked: /^(?:and |so |please |tell me |but |by |to |from |with |for )*who(?:m|se)?\b|[谁誰]/iu,
    askedElsewhere: PERSON_ASKED,
    has: (text) => NAME.test(text) || either(PERSON, PERSON_WORDS)(text),
  },
  {
    kind: 'reason',
    asked: /^(?:and |so |but )*why\b|为什么|为何|なぜ|どうして/iu,
    askedElsewhere: REASON_ASKED,
    has: either(REASON, REASON_WORDS),
  },
];

/** Kinds that stand everywhere: that a text has one does not tell that it is what was asked. */
const EVERYWHERE: ReadonlySet<AnswerKind> = new Set<AnswerKind>([undefined, 'number', 'person', 'reason']);

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

/** Whether nothing answers a question for a kind that has none of it. */
export function isStrict(kind: AnswerKind): boolean {
  return KINDS.find((known) => known.kind === kind)?.strict ?? false;
}

/** Whether a text has one that tells: numbers, people and reasons stand everywhere, and so do words such as "when". */
export function hasTelling(kind: AnswerKind, text: string): boolean {
  if (kind === 'time') return isMoment(text);
  return !EVERYWHERE.has(kind) && hasKind(kind, text);
}

function isMoment(text: string): boolean {
  return MOMENT.test(text) || YEAR_OR_CLOCK.test(text) || MOMENT_WORDS.test(fold(text));
}

/** Whether a text has a stretch of time, rather than how often something is or a word such as "night train". */
function isCountedSpan(text: string): boolean {
  return isSpan(fold(text).replace(EACH, ' ').replace(UNCOUNTED, ' '));
}

/** Whether a text has a number that is no time of day. */
function isNumber(text: string): boolean {
  const bare = fold(text).replace(CLOCK, ' ');
  return DIGITS.test(bare) || NUMBER_WORDS.test(bare);
}
