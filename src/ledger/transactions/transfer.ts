import { canReceive } from '../rules.ts';
import { credit, debit } from '../state.ts';
import { done, type Handler, refuse } from './context.ts';

/** Moves money from the sender. Refusals in order: `amount-zero`, `recipient-unusable`, `balance-insufficient`. */
export const transfer: Handler<'transfer'> = ({ state, rules, sender }, { to, amount }) => {
  if (amount === 0n) return refuse('amount-zero');
  if (!canReceive(rules, to)) return refuse('recipient-unusable');
  if (!debit(state, sender, amount)) return refuse('balance-insufficient');
  credit(state, to, amount);
  return done();
};
