/**
 * Finds proofs of work. The search is cut into slices between which everything else of the process runs, so that a
 * caller that pays with work goes on streaming its other calls. How long it takes is chance: on average twice as long
 * for every bit more.
 */
import { hash } from 'node:crypto';
import { concat } from '../base/bytes.ts';
import type { Dice } from '../base/random.ts';
import { nativeSuite } from '../protocol/suite-native.ts';
import { WORK_BYTES, type WorkSubject, workPrefix, zeroBits } from '../protocol/work.ts';

/** Numbers tried before others of the process get their turn: about a millisecond. */
const SLICE_TRIES = 512;

/**
 * A number whose hash for `subject` begins with `bits` zero bits. The dice choose where the search begins, so that a
 * search that was given up is not begun at the same place again. `stopped` throws once nobody wants the number any
 * more, which ends the search with what it throws.
 */
export async function findWork(
  subject: WorkSubject,
  bits: number,
  { dice, stopped = () => {} }: { readonly dice: Dice; readonly stopped?: () => void },
): Promise<Uint8Array> {
  const tried = concat(workPrefix(nativeSuite, subject), dice.bytes(WORK_BYTES));
  const view = new DataView(tried.buffer, tried.byteOffset + tried.length - WORK_BYTES);
  for (;;) {
    stopped();
    for (let i = 0; i < SLICE_TRIES; i++) {
      if (zeroBits(hash('sha256', tried, 'buffer')) >= bits) return tried.slice(-WORK_BYTES);
      view.setBigUint64(0, BigInt.asUintN(64, view.getBigUint64(0) + 1n));
    }
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}
