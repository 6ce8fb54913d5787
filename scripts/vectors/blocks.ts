/** Blocks of a story as vectors tell them: bytes, ids, results, changed records and the root that follows. */
import { toHex } from '../../src/base/bytes.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import type { Action } from '../../src/protocol/transaction.ts';
import { type Bench, signAction } from '../../test/ledger/support.ts';

/** What stands in a block. */
type Steps = readonly (readonly [Signer, Action])[];

/** Makes blocks on a bench and writes down each. */
export interface ToldBlocks {
  readonly blocks: readonly unknown[];
  /** One block of these steps, each signed with its sender's next number. */
  make(...steps: Steps): Promise<void>;
}

/** No blocks yet; every transaction offers `feeMax`. */
export function tellBlocks(bench: Bench, feeMax: bigint): ToldBlocks {
  const blocks: unknown[] = [];
  return {
    blocks,
    async make(...steps) {
      const ahead = new Map<Signer, number>();
      const messages = steps.map(([who, action]) => {
        const count = ahead.get(who) ?? 0;
        ahead.set(who, count + 1);
        return signAction(bench.network, who, bench.nonce(who) + count, action, { feeMax });
      });
      await bench.block(messages);
      const made = bench.last;
      if (made === undefined) throw new Error('no block');
      blocks.push({
        wire: toHex(made.wire),
        headerHash: toHex(made.headerHash),
        transactionIds: made.transactions.map(({ id }) => toHex(id)),
        results: made.results.map(({ code, moved }) => [code, String(moved)]),
        changes: made.changes.map(({ key, value }) => [
          toHex(key),
          value === undefined ? null : toHex(value),
        ]),
        stateRoot: toHex(made.header.stateRoot),
      });
    },
  };
}
