/**
 * What happens at a height without a transaction of its own: announced ends of channels, announced withdrawals,
 * records that are kept for a while only. Each height has a list, which is worked off after the transactions of
 * its block, in order and in a bounded number of steps; what is left is carried over to the next block.
 *
 * An entry says that it is time to look, not what to do: who changes their mind changes the record that the entry
 * names and leaves the entry, which then finds nothing to do.
 */
import type { Genesis } from '../protocol/block.ts';
import { AGENDA_STEPS_MAX } from './limits.ts';
import { type ClosingRecord, heightId, ONLY } from './records.ts';
import type { AgendaEntry } from './records-channel.ts';
import type { State } from './state.ts';

/** What an entry of the agenda is carried out with. */
export interface AgendaContext {
  readonly state: State;
  readonly genesis: Genesis;
  /** The block's height; never below that of the entry. */
  readonly height: number;
}

/**
 * Carries out one kind of entry: the record under `id`, whose time was the height `at`. Answers how many steps that
 * took, at least 1.
 */
export type AgendaHandler = (context: AgendaContext, id: Uint8Array, at: number) => number;

/** How each kind of entry is carried out. */
export type AgendaHandlers = { readonly [K in AgendaEntry['kind']]: AgendaHandler };

const NOTHING_AWAITED: ClosingRecord = { count: 0, carry: undefined };

/** Puts an entry on the list of the height `at`, behind those that stand there. `at` must be above the block's height. */
export function schedule(state: State, at: number, entry: AgendaEntry): void {
  const entries = state.agenda.get(heightId(at))?.entries ?? [];
  state.agenda.set(heightId(at), { entries: [...entries, entry] });
}

/**
 * Counts entries that somebody waits for, up when one is announced and down when it was carried out or taken back.
 * While there are any, blocks are made though there are no transactions.
 */
export function countAwaited(state: State, by: 1 | -1): void {
  const head = headOf(state);
  state.closings.set(ONLY, { ...head, count: head.count + by });
}

/** Carries out what was due by `context.height`, in at most `AGENDA_STEPS_MAX` steps; the rest is carried over. */
export function workOffAgenda(context: AgendaContext, handlers: AgendaHandlers): void {
  const { state, height } = context;
  let steps = 0;
  for (let at = headOf(state).carry ?? height; at <= height; at++) {
    const list = state.agenda.get(heightId(at));
    const entries = list?.entries ?? [];
    let next = 0;
    for (; next < entries.length && steps < AGENDA_STEPS_MAX; next++) {
      const { kind, id } = entries[next] as AgendaEntry;
      steps += handlers[kind](context, id, at);
    }
    if (next < entries.length) {
      state.agenda.set(heightId(at), { entries: entries.slice(next) });
      setCarry(state, at);
      return;
    }
    if (list !== undefined) state.agenda.set(heightId(at), undefined);
    if (++steps >= AGENDA_STEPS_MAX && at < height) {
      setCarry(state, at + 1);
      return;
    }
  }
  setCarry(state, undefined);
}

function headOf(state: State): ClosingRecord {
  return state.closings.get(ONLY) ?? NOTHING_AWAITED;
}

// An idle block must leave the state, and so its root, as it was.
function setCarry(state: State, carry: number | undefined): void {
  const head = headOf(state);
  if (head.carry !== carry) state.closings.set(ONLY, { ...head, carry });
}
