/**
 * Which lane a payee serves. Whoever signs two charges for one channel, lane and sequence has lied, and pays for it
 * out of its bond; so has whoever charges less for more receipts. An honest payee would do that after a loss of power
 * that took charges which it had signed and shown, after the loss of its disk, or with the same key at two machines. Its
 * lane is therefore a number that it drew by chance and forced to disk before it signed anything on it; after whatever
 * may have lost a charge it draws another one and never signs on the former again. No call waits for that.
 *
 * What was signed survives the end of the process (PAY-10), so a kill changes nothing as long as the system goes on:
 * the name of the boot says whether it did.
 */
import type { Dice } from '../base/random.ts';
import type { Store } from '../base/store.ts';
import { bool, optional, record, type Schema, text, u32 } from '../protocol/schema.ts';
import { RUN_KEY } from './records.ts';

/** Parts of a run. */
export interface PayeeRunParts {
  /** The book's store, recovered. */
  readonly store: Store;
  readonly dice: Dice;
  /** Names the system's present boot; `undefined` where none can be told: then only a clean end keeps the lane. */
  readonly boot: string | undefined;
}

/** One run of a payee's book. */
export interface PayeeRun {
  /** The lane that it serves, on every channel. */
  readonly lane: number;
  /** Notes that all that was signed is on disk: after the book was flushed, when nothing is signed any more. */
  end(): Promise<void>;
}

interface RunRecord {
  readonly lane: number;
  /** Everything signed on the lane is on disk. */
  readonly ended: boolean;
  readonly boot: string | undefined;
}

const BOOT_BYTES_MAX = 128;

const runRecord: Schema<RunRecord> = record('payee-run', {
  lane: u32,
  ended: bool,
  boot: optional(text(BOOT_BYTES_MAX)),
});

/** Begins a run: resolves once its lane is on disk. */
export async function openPayeeRun({ store, dice, boot }: PayeeRunParts): Promise<PayeeRun> {
  const stored = store.getSync(RUN_KEY);
  const last = stored && runRecord.decode(stored);
  const whole = last !== undefined && (last.ended || (boot !== undefined && last.boot === boot));
  const lane = whole ? last.lane : drawLane(dice, last?.lane);
  const write = (ended: boolean): Promise<void> =>
    store.batch([{ type: 'put', key: RUN_KEY, value: runRecord.encode({ lane, ended, boot }) }], {
      sync: true,
    });
  await write(false);
  return { lane, end: () => write(true) };
}

/** A lane by chance, not 0, which is asked about before the payee has named one. */
function drawLane(dice: Dice, former: number | undefined): number {
  for (;;) {
    const drawn = dice.bytes(4);
    const lane = new DataView(drawn.buffer, drawn.byteOffset, drawn.byteLength).getUint32(0);
    if (lane !== 0 && lane !== former) return lane;
  }
}
