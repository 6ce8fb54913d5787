/** Limits of a caller. Those that peers must share stand in `spec/calls.md`. */

/** Calls under way, or left over from before a restart, that are kept to go on with. */
export const OPEN_CALLS_MAX = 4_096;
/** Bytes of their openings, all together. */
export const OPEN_CALLS_BYTES_MAX = 67_108_864;
/** Shortest wait before a broken call is gone on with, milliseconds; doubled with each try. */
export const RESUME_WAIT_MS_MIN = 50;
/** Longest wait between two tries, milliseconds. */
export const RESUME_WAIT_MS_MAX = 2_000;
/** How long the envelope of a resumption lives, milliseconds. */
export const RESUME_LIFE_MS = 60_000;
/** How long the payee is waited for when it is asked what a call cost, milliseconds. */
export const OUTCOME_TIMEOUT_MS = 10_000;
/** Codes that say that something which the other side sent is not what it must be. */
export const FAULTS: ReadonlySet<string> = new Set(['answer-invalid', 'receipt-invalid', 'malformed']);
/** Refusals that this side can mend: lost payment state, a clock that is off, work that is asked for. */
export const MENDED_ONCE: ReadonlySet<string> = new Set([
  'voucher-stale',
  'voucher-insufficient',
  'voucher-invalid',
  'expired',
  'not-yet-valid',
  'work-required',
]);

/** Refusals of a resumption that a later one may not meet. */
export const RESUMED_LATER: ReadonlySet<string> = new Set([
  'overloaded',
  'rate-limited',
  'expired',
  'not-yet-valid',
  'peer-unreachable',
  // A host that has just been started may not serve calls, or this agent, yet.
  'caller-refused',
  'wrong-recipient',
]);
