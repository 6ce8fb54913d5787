/** Limits of the backends. */

/** Most output tokens asked of an endpoint for each unit of answer: words may be several tokens. */
export const TOKENS_PER_UNIT = 4;
/** Longest wait for the first or the next piece from an endpoint, milliseconds. */
export const ENDPOINT_IDLE_MS = 60_000;
/** Longest answer that is taken from an endpoint, UTF-16 units; beyond it the answer is cut as too long. */
export const ENDPOINT_ANSWER_MAX = 1_048_576;
/** Longest text held back because it may be a citation mark, UTF-16 units. */
export const MARK_MAX = 32;
