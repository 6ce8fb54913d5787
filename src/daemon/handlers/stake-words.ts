/** What people read of transactions on stakes. */
import { formatAmount } from '../../base/amount.ts';
import type { StakeAction } from '../../protocol/actions-stake.ts';
import { type BlockHeader, blockHeader } from '../../protocol/block.ts';
import { didOf } from '../../protocol/ids.ts';
import type { Signed } from '../../protocol/signing.ts';

/** One line about a transaction on stakes, without what it moved. */
export function stakeSummary(action: StakeAction): string {
  switch (action.type) {
    case 'bond':
      return `${formatAmount(action.amount)} behind the role ${action.role}`;
    case 'unbond':
      return `${formatAmount(action.amount)} back from the role ${action.role}`;
    case 'delegate':
      return `${formatAmount(action.amount)} behind the role ${action.role} of ${didOf(action.did)}`;
    case 'undelegate':
      return `${formatAmount(action.amount)} back from the role ${action.role} of ${didOf(action.did)}`;
    case 'release-bond':
      return `to ${didOf(action.owner)} from the role ${action.role} of ${didOf(action.did)}`;
    case 'report-double-signing':
      return doubleSigned(action.first);
    case 'collect-reward':
      return `epoch ${action.epoch} to ${didOf(action.did)}`;
  }
}

function doubleSigned({ payload }: Signed): string {
  const header = read(payload);
  return header === undefined ? 'unreadable' : `block ${header.height} by ${didOf(header.proposer)}`;
}

function read(payload: Uint8Array): BlockHeader | undefined {
  try {
    return blockHeader.decode(payload);
  } catch {
    // The ledger refused it for this very reason; a list must still be shown.
    return undefined;
  }
}
