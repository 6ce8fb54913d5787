/** Counts the signatures that a replay of a block verifies while it executes, instead of before. */
import { buildBlock, replayBlock } from '../../src/ledger/blocks.ts';
import { prepareTransaction } from '../../src/ledger/prepare.ts';
import { createSignatureBook } from '../../src/ledger/signatures.ts';
import { block, type TransactionResult } from '../../src/protocol/block.ts';
import type { Signed } from '../../src/protocol/signing.ts';
import type { Suite } from '../../src/protocol/suite.ts';
import { type Bench, sequencer, suite } from './support.ts';

/** Replays a block of `messages` on the head of `bench`, which stays where it is. */
export async function replayedOnTheSpot(
  { parts, network, chain }: Bench,
  messages: readonly Signed[],
): Promise<{ readonly onTheSpot: number; readonly results: readonly TransactionResult[] }> {
  const candidates = messages.map((message) => prepareTransaction(suite, network, message));
  const { executed } = buildBlock(parts, sequencer, { candidates, timeMs: chain.head().timeMs + 1 });
  let onTheSpot = 0;
  const counting: Suite = {
    ...suite,
    verify(...args) {
      onTheSpot++;
      return suite.verify(...args);
    },
  };
  const follower = { ...parts, suite: counting, signatures: createSignatureBook(counting, network) };
  const { results } = await replayBlock(follower, executed.wire, block.decode(executed.wire));
  return { onTheSpot, results };
}
