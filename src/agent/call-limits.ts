/** Limits of calls. Those that peers must share stand in `spec/calls.md`. */

/** Calls that may wait for a free place at one agent. */
export const CALL_QUEUE_MAX = 256;
/** Counts of free calls that are followed: callers, peers and agents. */
export const QUOTAS_FOLLOWED_MAX = 100_000;
/** Callers' worth of free calls that one peer gets of an agent in a window, whatever keys it asks with. */
export const FREE_CALLERS_PER_PEER = 8;
/** Callers' worth of free calls that an agent gives in a window to all callers together. */
export const FREE_CALLERS_PER_AGENT = 1_000;
/** How long a reservation outlives its call's deadline, milliseconds. */
export const HOLD_GRACE_MS = 10_000;
/** Cards of one agent that are still served after newer ones. */
export const CARDS_SERVED_MAX = 4;
/** Bytes of an answer's frames that are kept in memory for its records. */
export const DELIVERED_BYTES_MAX = 8_388_608;
/** Events of one answer that wait for their reader at the caller. */
export const EVENTS_WAITING_MAX = 1_024;
/** How long a stream may stand without its opening, milliseconds. */
export const OPENING_TIMEOUT_MS = 10_000;
/** How long a stop waits for calls to end after they were stopped, milliseconds. */
export const DRAIN_GRACE_MS = 1_000;
