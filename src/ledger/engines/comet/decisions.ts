/** What is kept of consensus beside the ledger: how far it has come, and what it said of each block. */
import type { Store, StoreOperation } from '../../../base/store.ts';
import type { PublicKey } from '../../../protocol/ids.ts';
import { bytes, list, record, type Schema, uint } from '../../../protocol/schema.ts';
import { CONSENSUS, DECISIONS, heightKey } from '../../layout.ts';
import { OFFENCES_PER_BLOCK_MAX } from './limits.ts';

/** A validator that consensus found to have voted for two blocks of one height. */
export interface Offender {
  readonly did: PublicKey;
  /** Height of consensus. */
  readonly height: number;
}

/** What consensus said of a block besides its transactions, its time and its proposer. */
export interface Decision {
  /** Height of consensus, which is not the ledger's: rounds that decide on nothing make no block. */
  readonly height: number;
  readonly offenders: readonly Offender[];
}

const decision: Schema<Decision> = record('decision', {
  height: uint(),
  offenders: list(record('offender', { did: bytes(32), height: uint() }), OFFENCES_PER_BLOCK_MAX),
});

const progress: Schema<{ readonly height: number }> = record('consensus', { height: uint() });

/** Says that consensus has come to `height`. */
export function progressOperation(height: number): StoreOperation {
  return { type: 'put', key: CONSENSUS, value: progress.encode({ height }) };
}

/** Height of the last block of consensus that counts here; 0 before the first. */
export function progressIn(store: Store): number {
  const stored = store.getSync(CONSENSUS);
  return stored === undefined ? 0 : progress.decode(stored).height;
}

/** What is written beside the ledger's block of `height`. */
export function decisionOperations(height: number, decided: Decision): readonly StoreOperation[] {
  const value = decision.encode(decided);
  return [{ type: 'put', key: heightKey(DECISIONS, height), value }, progressOperation(decided.height)];
}

/** What consensus said of the ledger's block of `height`, if it is here. */
export function decisionIn(store: Store, height: number): Decision | undefined {
  const stored = store.getSync(heightKey(DECISIONS, height));
  return stored && decision.decode(stored);
}
