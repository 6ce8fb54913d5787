/** What the agenda can hold. Adding a kind touches its own file, this table, and the word in `records-channel.ts`. */
import type { AgendaHandlers } from './agenda.ts';
import { finalizeClose, forgetChannel } from './transactions/ending.ts';
import { finalizeWithdrawal } from './transactions/withdraw.ts';

/** How each kind of entry is carried out. */
export const AGENDA_HANDLERS: AgendaHandlers = {
  close: finalizeClose,
  withdraw: finalizeWithdrawal,
  forget: forgetChannel,
};
