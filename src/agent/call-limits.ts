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
/** How long a call whose stream is gone waits for its caller, milliseconds. */
export const RESUME_GRACE_MS = 30_000;
/** Calls of one host that wait for their callers; with more the one that waited longest ends. */
export const DETACHED_CALLS_MAX = 256;
/** Vouchers that one call takes after its opening. */
export const TOP_UPS_MAX = 512;
/** Output units that the opening of a metered call covers at least. */
export const METERED_UNITS_MIN = 32;
/** Frames that may follow a resumption before it was answered. */
export const RESUME_FRAMES_MAX = 4;
/** Calls that a host says it does not know, remembered so that a late opening is refused. */
export const DISOWNED_CALLS_MAX = 10_000;
/** Calls of one host that are kept to go on after a restart. */
export const KEPT_CALLS_MAX = 1_024;
/** Bytes of all of them. */
export const KEPT_BYTES_MAX = 268_435_456;
/** How long before a call must end the calls below it must have, milliseconds. */
export const CHILD_MARGIN_MS = 500;
