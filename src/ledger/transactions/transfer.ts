import { credit, debit } from '../state.ts';
import { done, type Handler, refuse } from './context.ts';

/** Moves money from the sender. Refusals in order: `amount-zero`, `balance-insufficient`. */
export const transfer: Handler<'transfer'> = ({ state, sender }, { to, amount }) => {
  if (amount === 0n) return refuse('amount-zero');
  if (!debit(state, sender, amount)) return refuse('balance-insufficient');
  credit(state, to, amount);
  return done();
};
