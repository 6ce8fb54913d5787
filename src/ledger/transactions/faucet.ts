import { ONLY } from '../records.ts';
import { canReceive } from '../rules.ts';
import { accountOf } from '../state.ts';
import { done, type Handler, refuse } from './context.ts';

/**
 * Gives free money on a local network. Refusals in order: `faucet-absent`, `amount-zero`, `recipient-unusable`,
 * `faucet-cap`, `faucet-empty`.
 */
export const faucet: Handler<'faucet'> = ({ state, rules, genesis }, { to, amount }) => {
  const store = state.faucets.get(ONLY);
  if (genesis.faucet === undefined || store === undefined) return refuse('faucet-absent');
  if (amount === 0n) return refuse('amount-zero');
  if (!canReceive(rules, to)) return refuse('recipient-unusable');
  const account = accountOf(state, to);
  if (account.drawn + amount > genesis.faucet.perAccount) return refuse('faucet-cap');
  if (store.left < amount) return refuse('faucet-empty');
  state.faucets.set(ONLY, { left: store.left - amount });
  state.accounts.set(to, {
    ...account,
    balance: account.balance + amount,
    drawn: account.drawn + amount,
  });
  return done();
};
