import { equalBytes } from '../../base/bytes.ts';
import { channelId } from '../../protocol/transaction.ts';
import { canReceive } from '../rules.ts';
import { debit } from '../state.ts';
import { done, type Handler, refuse } from './context.ts';

/**
 * Opens a channel under the id of payer, payee and nonce. Refusals in order: `payee-is-payer`,
 * `recipient-unusable`, `deposit-too-small`, `balance-insufficient`.
 */
export const openChannel: Handler<'open-channel'> = (context, { payee, deposit }) => {
  const { suite, network, genesis, rules, state, sender, nonce } = context;
  if (equalBytes(payee, sender)) return refuse('payee-is-payer');
  if (!canReceive(rules, payee)) return refuse('recipient-unusable');
  if (deposit < genesis.parameters.depositMin) return refuse('deposit-too-small');
  if (!debit(state, sender, deposit)) return refuse('balance-insufficient');
  const id = channelId(suite, network, sender, payee, nonce);
  state.channels.set(id, {
    payer: sender,
    payee,
    deposit,
    claimed: 0n,
    closeAt: undefined,
    lanes: [],
    revision: 0,
    withdrawal: undefined,
    voucherKeys: [],
  });
  return done();
};
