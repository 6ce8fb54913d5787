import { invariant } from '../../base/errors.ts';
import { RECEIPT_ASSETS_MAX, SOURCES_MAX } from '../../protocol/limits.ts';

/** Most passages of one attribution. */
export const PASSAGES_MAX: number = SOURCES_MAX;
/** Most contributors' assets that one receipt pays; the others' parts go to the agent's own asset. */
export const KNOWLEDGE_ASSETS_MAX = 56;
/** Most adapters that one receipt pays; a call uses few, and beside contributors there is room for four more. */
export const ADAPTERS_MAX = 4;
/** Most words of an answer that are matched with passages. */
export const ANSWER_WORDS_MAX = 32_768;
/** Most terms of one attribution. */
export const TERMS_MAX = 64;
/** Words in a row that make a match between an answer and a passage. */
export const SPAN_WORDS_MIN = 3;
/** Words in a row from which a match counts whole. */
export const SPAN_WORDS_FULL = 8;
/** Most stretches that are cited of one statement of a model and one passage. */
export const QUOTES_MAX = 4;
/** Words of a shingle by which near-duplicates are told. */
export const SHINGLE_WORDS = 5;

invariant(
  KNOWLEDGE_ASSETS_MAX + 3 + ADAPTERS_MAX <= RECEIPT_ASSETS_MAX,
  'agent, model, adapters and prompt fit beside the contributors',
);
