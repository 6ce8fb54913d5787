/**
 * Who signs for others, and what they took back, as it was proved a short while ago: these are asked at every signature
 * and seldom change.
 */
import type { Clock } from '../../base/clock.ts';
import { SaharaError } from '../../base/errors.ts';
import { LIGHT_LATELY_MAX, LIGHT_LATELY_MS } from '../limits.ts';
import { nameOf } from '../names.ts';
import type { ReadRecord } from '../queries.ts';
import { stateKey, type Table } from '../records.ts';
import { IDENTITIES, REVOCATIONS } from '../records-identity.ts';
import type { Followed } from './view.ts';

const KEPT: ReadonlySet<number> = new Set([IDENTITIES.tag, REVOCATIONS.tag]);

interface Entry {
  readonly value: Uint8Array | undefined;
  readonly atMs: number;
}

/** Identities and revocations of others that were proved lately. */
export class Lately {
  readonly #clock: Clock;
  readonly #entries = new Map<string, Entry>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Reads what is followed through `followed`, and otherwise here. Throws `state-unproven` for what is in neither. */
  read<T>(followed: ReadRecord, table: Table<T>, id: Uint8Array): T | undefined {
    const entry = KEPT.has(table.tag) ? this.#entries.get(nameOf(stateKey(table, id))) : undefined;
    try {
      return followed(table, id);
    } catch (error) {
      const known = error instanceof SaharaError && error.code === 'state-unproven' ? entry : undefined;
      if (known === undefined || this.#clock.monotonicMs() - known.atMs > LIGHT_LATELY_MS) throw error;
      return known.value && table.schema.decode(known.value);
    }
  }

  keep(records: ReadonlyMap<string, Followed>): void {
    const atMs = this.#clock.monotonicMs();
    for (const [name, { key, value }] of records) {
      if (!KEPT.has(key[0] ?? 0)) continue;
      this.#entries.delete(name);
      this.#entries.set(name, { value, atMs });
      if (this.#entries.size > LIGHT_LATELY_MAX)
        this.#entries.delete(this.#entries.keys().next().value as string);
    }
  }
}
