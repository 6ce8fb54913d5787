/**
 * Citation marks in a model's text: `[2]` or `[1, 3]` behind what they support. They are taken out of the stream and
 * become citations, but only where the passage does support the statement: a model may name any number it likes.
 */
import { utf8 } from '../../base/bytes.ts';
import { languageOf } from '../../vault/text/language.ts';
import { sentences } from '../../vault/text/sentences.ts';
import { analyse } from '../../vault/text/words.ts';
import type { AnswerCitation, AnswerPart, Passage } from './backend.ts';
import { MARK_MAX } from './limits.ts';

const MARK = /^\s*\[(\d{1,3}(?:\s*,\s*\d{1,3})*)\]/;
const MAYBE_MARK = /^\s*(?:\[(?:\d[\d\s,]*)?)?$/;
const SPACE_OR_OPEN = /[\s[]/;

/** Terms of a statement of which a passage must hold at least half, and at least this many or all. */
const COMMON_TERMS_MIN = 2;

/** Takes a text in pieces; gives it back without its marks, and the citations that hold. */
export class MarkFilter {
  readonly #passages: readonly Passage[];
  #text = '';
  #bytes = 0;
  /** Where the text begins that no mark has covered yet. */
  #from = { index: 0, bytes: 0 };
  #statement = { text: '', start: 0, end: 0 };
  #held = '';

  constructor(passages: readonly Passage[]) {
    this.#passages = passages;
  }

  /** Parts that are certain after `piece`. */
  push(piece: string): AnswerPart[] {
    return this.#drain(this.#held + piece, false);
  }

  /** What was held back at the end. */
  finish(): AnswerPart[] {
    return this.#drain(this.#held, true);
  }

  #drain(input: string, last: boolean): AnswerPart[] {
    const parts: AnswerPart[] = [];
    let rest = input;
    let plain = '';
    const flush = (): void => {
      if (plain !== '') parts.push(this.#deliver(plain));
      plain = '';
    };
    while (rest !== '') {
      const at = rest.search(SPACE_OR_OPEN);
      if (at !== 0) {
        const length = at === -1 ? rest.length : at;
        plain += rest.slice(0, length);
        rest = rest.slice(length);
        continue;
      }
      const mark = MARK.exec(rest);
      if (mark !== null) {
        flush();
        parts.push(...this.#citations(mark[1] ?? ''));
        rest = rest.slice(mark[0].length);
      } else if (!last && rest.length < MARK_MAX && MAYBE_MARK.test(rest)) {
        break;
      } else {
        plain += rest[0];
        rest = rest.slice(1);
      }
    }
    flush();
    this.#held = rest;
    return parts;
  }

  #deliver(text: string): AnswerPart {
    this.#text += text;
    this.#bytes += utf8(text).length;
    return { type: 'text', text };
  }

  /** What a mark covers: the last sentence before it; for a mark right behind another the same one. */
  #citations(numbers: string): AnswerCitation[] {
    const fresh = this.#text.slice(this.#from.index);
    const last = sentences(fresh).at(-1);
    if (last !== undefined) {
      const bytes = this.#from.bytes + utf8(fresh.slice(0, last.start)).length;
      const text = fresh.slice(last.start, last.end);
      this.#statement = { text, start: bytes, end: bytes + utf8(text).length };
      this.#from = { index: this.#text.length, bytes: this.#bytes };
    }
    const { text, start, end } = this.#statement;
    if (text === '') return [];
    return [...new Set(numbers.split(',').map(Number))].flatMap((number): AnswerCitation[] => {
      const passage = this.#passages[number - 1];
      const span = passage === undefined ? undefined : supportingSpan(text, passage);
      return span === undefined ? [] : [{ type: 'citation', start, end, passage: number - 1, ...span }];
    });
  }
}

/**
 * The sentence of a passage that shares most terms with a statement, as UTF-8 offsets; `undefined` when the passage
 * does not hold at least half of the statement's terms, and two (or its only one).
 */
function supportingSpan(
  statement: string,
  passage: Passage,
): { readonly passageStart: number; readonly passageEnd: number } | undefined {
  const language = languageOf(passage.text);
  const wanted = new Set(analyse(statement, language).map(({ term }) => term));
  const held = new Set(analyse(`${passage.title}\n${passage.text}`, language).map(({ term }) => term));
  const common = [...wanted].filter((term) => held.has(term)).length;
  if (wanted.size === 0 || 2 * common < wanted.size) return undefined;
  if (common < Math.min(COMMON_TERMS_MIN, wanted.size)) return undefined;
  let best: { start: number; end: number } | undefined;
  let most = 0;
  for (const span of sentences(passage.text)) {
    const terms = new Set(
      analyse(passage.text.slice(span.start, span.end), language).map(({ term }) => term),
    );
    const shared = [...wanted].filter((term) => terms.has(term)).length;
    if (shared > most) [best, most] = [span, shared];
  }
  if (best === undefined) return undefined;
  const passageStart = utf8(passage.text.slice(0, best.start)).length;
  return { passageStart, passageEnd: passageStart + utf8(passage.text.slice(best.start, best.end)).length };
}
