import { canReceive } from '../rules.ts';
import { credit, debit } from '../state.ts';
import { receive } from './claim.ts';
import { done, type Handler, refuse } from './context.ts';

/**
 * Pays for one call: the named asset receives it, or the payee. It moves the amount. Refusals in order:
 * `amount-zero`, `asset-unknown`, without an asset `recipient-unusable`, `balance-insufficient`, `amount-out-of-range`.
 */
export const pay: Handler<'pay'> = ({ state, rules, sender }, { payee, asset, amount }) => {
  if (amount === 0n) return refuse('amount-zero');
  if (asset !== undefined && state.revenues.get(asset) === undefined) return refuse('asset-unknown');
  if (asset === undefined && !canReceive(rules, payee)) return refuse('recipient-unusable');
  if (!debit(state, sender, amount)) return refuse('balance-insufficient');
  if (asset === undefined) credit(state, payee, amount);
  else if (receive(state, asset, amount) > 0n) return refuse('amount-out-of-range');
  return done(amount);
};
