/** What the state holds of channels beside themselves and their lanes: what is due at a height, and what has ended. */
import type { Hash, PublicKey } from '../protocol/ids.ts';
import { bytes, grains, list, oneOf, optional, record, type Schema, u32, uint } from '../protocol/schema.ts';
import { AGENDA_ENTRIES_MAX, LANES_MAX } from './limits.ts';
import type { Table } from './records.ts';

/** What evidence against its payee did to a lane. */
export interface Freeze {
  /** Highest total that can be true: the lane never pays beyond it. Grains. */
  readonly total: bigint;
  /** What the payer got back of what was paid beyond it, grains. */
  readonly returned: bigint;
}

/** A channel that ended, for as long as its payee can be challenged about it. Without lanes there is none. */
export interface EndedRecord {
  readonly payer: PublicKey;
  readonly payee: PublicKey;
  /** Last height of a challenge. */
  readonly until: number;
  readonly lanes: readonly EndedLane[];
}

/** A lane of a channel that ended. */
export interface EndedLane {
  readonly lane: number;
  readonly paid: bigint;
  readonly frozen: Freeze | undefined;
}

/** One thing to look at when its height has come. */
export interface AgendaEntry {
  readonly kind: 'close' | 'withdraw' | 'forget';
  /** Of a channel. */
  readonly id: Hash;
}

/** What is due at one height, in the order in which it was announced; some of it may have been taken back. */
export interface AgendaRecord {
  readonly entries: readonly AgendaEntry[];
}

/** The stored form of a freeze. */
export const freeze: Schema<Freeze> = record('freeze', { total: grains, returned: grains });

/** The agenda by height. */
export const AGENDA: Table<AgendaRecord> = {
  name: 'agenda',
  tag: 0x08,
  schema: record('agenda', {
    entries: list(
      record('agenda-entry', { kind: oneOf('close', 'withdraw', 'forget'), id: bytes(32) }),
      AGENDA_ENTRIES_MAX,
    ),
  }),
  held: () => 0n,
};

/** Channels that ended, by id. */
export const ENDED: Table<EndedRecord> = {
  name: 'ended',
  tag: 0x30,
  schema: record('ended', {
    payer: bytes(32),
    payee: bytes(32),
    until: uint(),
    lanes: list(record('ended-lane', { lane: u32, paid: grains, frozen: optional(freeze) }), LANES_MAX),
  }),
  held: () => 0n,
};
