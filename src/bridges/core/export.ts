/** Everything that a bridge keeps of a person, as one text that machines read too: `/export`. */
import { formatAmount } from '../../base/amount.ts';
import { toHex } from '../../base/bytes.ts';
import { EXPORT_CHARACTERS_MAX, EXPORTED_QUESTIONS_MAX } from '../limits.ts';
import type { Journal } from './journal.ts';
import { accountOf, membersOf, namesOf } from './people.ts';
import type { ChatEvent } from './platform.ts';
import type { LearnedDocument } from './ports.ts';
import { type Spending, userOf } from './spending.ts';
import type { State } from './state.ts';
import { isUnsettled } from './unsettled.ts';

/** The export of the person behind an event, newest questions first; what would be too long is left out and counted. */
export async function exportOf(
  parts: {
    readonly journal: Journal;
    readonly spending: Spending;
    readonly state: State;
    readonly learned: readonly LearnedDocument[];
  },
  event: ChatEvent,
): Promise<string> {
  const { journal, spending, state } = parts;
  const user = userOf(event);
  const { balance, held, payable } = spending.standing(event);
  const keys = await journal.questionsOf(namesOf(state, user), EXPORTED_QUESTIONS_MAX);
  const questions: object[] = [];
  let size = 0;
  for (const key of keys) {
    const job = journal.find(key);
    if (job === undefined) continue;
    const row = {
      id: toHex(job.key),
      at: new Date(job.event.atMs).toISOString(),
      agent: job.agentName,
      // Nothing where it is not known yet.
      paid: isUnsettled(state, job) ? null : formatAmount(job.amount ?? 0n),
      question: job.question,
      answer: job.reply?.rich.text ?? '',
    };
    size += JSON.stringify(row).length;
    if (size > EXPORT_CHARACTERS_MAX) break;
    questions.push(row);
  }
  const account = accountOf(state, user);
  const whole = {
    account,
    users: membersOf(state, account),
    money: { balance: formatAmount(balance), held: formatAmount(held), canBePaidOut: formatAmount(payable) },
    learned: parts.learned.map(({ atMs, sizeBytes, ...document }) => ({
      ...document,
      bytes: sizeBytes,
      at: new Date(atMs).toISOString(),
    })),
    questions,
    leftOut: keys.length - questions.length,
  };
  return JSON.stringify(whole, undefined, 1);
}
