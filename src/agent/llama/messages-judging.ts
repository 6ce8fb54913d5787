/** What daemon and model host say to each other about models that judge texts: vectors, and how well passages answer. */
import { CONTEXT_MAX, JUDGED_TEXTS_MAX, MESSAGE_LENGTH_MAX, VECTOR_NUMBERS_MAX } from './limits.ts';
import { malformed, readId, readList, readNumber, readText } from './message-values.ts';

/** Asks for a vector of each text. */
export interface EmbedMessage {
  readonly type: 'embed';
  readonly id: number;
  /** Tokens of a text that are read; what is behind them is not. */
  readonly tokens: number;
  readonly texts: readonly string[];
}

/** Asks how well each passage answers a question. */
export interface RankMessage {
  readonly type: 'rank';
  readonly id: number;
  /** Tokens of question and passage together; a longer passage is read in parts, of which the best counts. */
  readonly tokens: number;
  readonly question: string;
  readonly passages: readonly string[];
}

/** What came of one text, in their order: its vector, or the one number that a passage is worth. */
export interface JudgedMessage {
  readonly type: 'judged';
  readonly id: number;
  readonly numbers: readonly number[];
  /** Nothing more comes. */
  readonly last: boolean;
}

type Fields = (name: string) => unknown;

/** Reads a request for vectors or worths; `undefined` for another type. Throws `malformed`. */
export function readJudging(type: unknown, at: Fields): EmbedMessage | RankMessage | undefined {
  if (type !== 'embed' && type !== 'rank') return undefined;
  const common = {
    id: readId(at('id')),
    tokens: readNumber(at('tokens'), { min: 2, max: CONTEXT_MAX, whole: true }),
  };
  const texts = (name: string): readonly string[] =>
    readList(at(name), JUDGED_TEXTS_MAX, (text) => readText(text, MESSAGE_LENGTH_MAX));
  if (type === 'embed') return { type, ...common, texts: texts('texts') };
  return {
    type,
    ...common,
    question: readText(at('question'), MESSAGE_LENGTH_MAX),
    passages: texts('passages'),
  };
}

/** Reads what came of one text. Throws `malformed`. */
export function readJudged(at: Fields): JudgedMessage {
  const numbers = readList(at('numbers'), VECTOR_NUMBERS_MAX, (number) =>
    readNumber(number, { min: -Number.MAX_VALUE, max: Number.MAX_VALUE }),
  );
  if (numbers.length === 0) throw malformed('numbers');
  return { type: 'judged', id: readId(at('id')), numbers, last: at('last') === true };
}
