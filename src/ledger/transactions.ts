/** The kinds of transaction. Adding one touches its file, this table, and `spec/ledger.md`. */
import type { Action } from '../protocol/transaction.ts';
import { challenge } from './transactions/challenge.ts';
import { claim, claimBatch } from './transactions/claim.ts';
import { collect, collectPath } from './transactions/collect.ts';
import type { ActionOf, Handler, Outcome, TransactionContext } from './transactions/context.ts';
import { reportDoubleSigning } from './transactions/double-signing.ts';
import { cancelClose, closeByPayee, requestClose } from './transactions/ending.ts';
import { faucet } from './transactions/faucet.ts';
import { registerIdentity, revokeCertificate, rotateKey } from './transactions/identity.ts';
import { approveDerivative, buyLicence, withdrawApproval } from './transactions/licence.ts';
import { openChannel } from './transactions/open-channel.ts';
import { pay } from './transactions/pay.ts';
import { cancelRecovery, finishRecovery, recoverIdentity } from './transactions/recovery.ts';
import { registerAsset } from './transactions/register-asset.ts';
import { collectReward } from './transactions/reward.ts';
import { bond, delegate, releaseBond, unbond, undelegate } from './transactions/stake.ts';
import { topUp } from './transactions/top-up.ts';
import { transfer } from './transactions/transfer.ts';
import { approveUpgrade } from './transactions/upgrade.ts';
import { setVoucherKey } from './transactions/voucher-key.ts';
import { cancelWithdraw, requestWithdraw, withdraw } from './transactions/withdraw.ts';

const HANDLERS: { readonly [K in Action['type']]: Handler<K> } = {
  transfer,
  faucet,
  'register-asset': registerAsset,
  'open-channel': openChannel,
  'top-up': topUp,
  claim,
  'close-by-payee': closeByPayee,
  'request-close': requestClose,
  'cancel-close': cancelClose,
  collect,
  'register-identity': registerIdentity,
  'rotate-key': rotateKey,
  'recover-identity': recoverIdentity,
  'cancel-recovery': cancelRecovery,
  'finish-recovery': finishRecovery,
  'revoke-certificate': revokeCertificate,
  'buy-licence': buyLicence,
  'approve-derivative': approveDerivative,
  'withdraw-approval': withdrawApproval,
  'collect-path': collectPath,
  withdraw,
  'request-withdraw': requestWithdraw,
  'cancel-withdraw': cancelWithdraw,
  'set-voucher-key': setVoucherKey,
  challenge,
  pay,
  'claim-batch': claimBatch,
  bond,
  unbond,
  delegate,
  undelegate,
  'release-bond': releaseBond,
  'report-double-signing': reportDoubleSigning,
  'collect-reward': collectReward,
  'approve-upgrade': approveUpgrade,
};

/** Executes an action by its kind's handler. */
export function executeAction<K extends Action['type']>(
  context: TransactionContext,
  action: ActionOf[K],
): Outcome {
  const handler: Handler<K> = HANDLERS[action.type as K];
  return handler(context, action);
}
