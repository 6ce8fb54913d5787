/** When blocks are made at the network's interval, work or not: delays count blocks, and pass. */
import { CLOSINGS, ONLY, stateKey } from './records.ts';
import { PACES } from './records-identity.ts';
import type { StateReader } from './state.ts';

/** Whether blocks after `height` are paced: something is due at a later height, or a delay runs that nothing else ends. */
export function isPaced(readState: StateReader, height: number): boolean {
  const pace = readState(stateKey(PACES, ONLY));
  if (pace !== undefined && PACES.schema.decode(pace).until > height) return true;
  const stored = readState(stateKey(CLOSINGS, ONLY));
  if (stored === undefined) return false;
  const { count, carry } = CLOSINGS.schema.decode(stored);
  return count > 0 || carry !== undefined;
}
