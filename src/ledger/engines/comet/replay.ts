/** Making a decided block again from what is stored of it. */
import { equalBytes } from '../../../base/bytes.ts';
import type { Store } from '../../../base/store.ts';
import { blockHeader } from '../../../protocol/block.ts';
import type { FirstValidator } from '../../../protocol/consensus.ts';
import { shortHex } from '../../../protocol/ids.ts';
import { BlockFault } from '../../blocks.ts';
import { prepareTransaction } from '../../prepare.ts';
import type { BlockAuthority } from '../../verify.ts';
import { decisionIn } from './decisions.ts';
import { executeDecided, NOBODY } from './execution.ts';
import { ValidatorBook } from './validators.ts';

/**
 * Replays blocks that consensus decided on. That it did is not proved by them: the hash of the last header is, by what
 * CometBFT keeps, and each header names the one before.
 */
export function decidedBlocks(store: Store, first: readonly FirstValidator[]): BlockAuthority {
  return {
    // It was held against consensus when the ledger began from it, or was executed here.
    vouches: () => true,
    async replay(parts, _wire, content) {
      const header = blockHeader.decode(content.header.payload);
      const { height, timeMs } = header;
      if (header.network !== parts.network) throw new BlockFault(height, 'it belongs to another network');
      const decision = decisionIn(store, height);
      if (decision === undefined) throw new BlockFault(height, 'what consensus said of it is missing');
      const executed = await executeDecided(parts, {
        transactions: content.transactions.map((one) => prepareTransaction(parts.suite, parts.network, one)),
        timeMs,
        proposer: equalBytes(header.proposer, NOBODY) ? undefined : header.proposer,
        offenders: decision.offenders,
        voters: async () => {
          const { suite, chain, genesis } = parts;
          return (await ValidatorBook.open({ suite, chain, genesis, first })).current();
        },
      });
      if (equalBytes(blockHeader.encode(executed.header), content.header.payload)) return executed;
      const found = shortHex(executed.header.stateRoot);
      throw new BlockFault(
        height,
        `its header is not what its transactions give: they give the state root ${found}`,
      );
    },
  };
}
