/**
 * `/budget`: the most that a person wants to spend in a day. With an amount it is set at once; without one it is asked for,
 * where the platform has forms by a form, elsewhere in a conversation: buttons for parts of the limit, or an amount in the
 * next message, which then is no question.
 */
import { formatAmount, formatDecimal, parseAmount } from '../../base/amount.ts';
import { toHex } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import { BUDGET_FORM_MS, BUDGET_FORM_TRIES_MAX } from '../limits.ts';
import type { CommandCall } from './commands.ts';
import type { Language } from './language.ts';
import type { ButtonAction, ChatEvent, Platform } from './platform.ts';
import { type BudgetForm, budgetFormSchema, type Job, type Reply } from './records.ts';
import { plain } from './rich.ts';
import { type Spending, userOf } from './spending.ts';
import { put, type State } from './state.ts';

/** What budgets work with. */
export interface BudgetParts {
  readonly spending: Spending;
  readonly state: State;
  readonly clock: Clock;
  readonly platform: Platform;
}

/** What a form for a budget shows. */
export interface BudgetView {
  /** The present budget as a number; empty without one. */
  readonly value: string;
  /** What holds now, in a sentence or two. */
  readonly about: string;
}

/** Parts of what the operator and the person's own grant allow in a day. */
const PARTS: Readonly<Partial<Record<ButtonAction, readonly [count: bigint, of: bigint]>>> = {
  quarter: [1n, 4n],
  half: [1n, 2n],
  whole: [1n, 1n],
};
/** In front of the forms that somebody began. */
export const BUDGET_FORMS = 'form/budget/';
const OFF = /^(off|none|aus|keins)$/i;

/** What a form begins with. */
export function budgetView(spending: Spending, event: ChatEvent, language: Language): BudgetView {
  const { budget } = spending.standing(event);
  return {
    value: budget === undefined ? '' : formatDecimal(budget),
    about: aboutBudget(spending, event, language),
  };
}

/** The reply to `/budget`. */
export async function budgetReply(
  parts: BudgetParts,
  { event, argument, language }: CommandCall,
): Promise<Reply> {
  if (argument === '') return asked(parts, event, language);
  const outcome = read(argument);
  if (outcome === 'wrong') return secret(language.budgetHow);
  return set(parts, event, { amount: outcome, language });
}

/** The reply to a button under `/budget`; `undefined` for any other button. */
export async function budgetPress(
  parts: BudgetParts,
  { event }: Job,
  language: Language,
): Promise<Reply | undefined> {
  const part = PARTS[event.text as ButtonAction];
  if (part !== undefined) {
    const { dayMax } = parts.spending.standing(event);
    return set(parts, event, { amount: (dayMax * part[0]) / part[1], language });
  }
  if (event.text === 'unset') return set(parts, event, { amount: undefined, language });
  if (event.text !== 'other') return undefined;
  const form: BudgetForm = { untilMs: parts.clock.nowMs() + BUDGET_FORM_MS, tries: 0, takenBy: '' };
  await parts.state.update(() => ({
    operations: [put(formKey(event), budgetFormSchema, form)],
    result: undefined,
  }));
  return secret(language.budgetAmount);
}

/** The reply to a message that was written into an open form; `undefined` for one that is a question. */
export async function budgetWritten(
  parts: BudgetParts,
  { event, key }: Job,
  language: Language,
): Promise<Reply | undefined> {
  if (!event.place.direct || event.attachments.length > 0 || event.quote !== '') return undefined;
  const name = toHex(key);
  const outcome = read(event.text);
  const written = await parts.state.update(() => {
    const form = parts.state.get(formKey(event), budgetFormSchema);
    // After a crash the same message is decided about again.
    if (form?.takenBy === name) return { operations: [], result: 'taken' as const };
    if (form === undefined || form.takenBy !== '' || form.untilMs < parts.clock.nowMs())
      return { operations: [], result: 'closed' as const };
    const isLast = form.tries + 1 >= BUDGET_FORM_TRIES_MAX;
    const next: BudgetForm = {
      ...form,
      tries: form.tries + 1,
      takenBy: outcome !== 'wrong' || isLast ? name : '',
    };
    const operations = [put(formKey(event), budgetFormSchema, next)];
    if (outcome === 'wrong')
      return { operations, result: isLast ? ('given-up' as const) : ('again' as const) };
    return {
      operations: [...operations, ...parts.spending.setBudget(userOf(event), outcome)],
      result: 'taken' as const,
    };
  });
  if (written === 'closed') return undefined;
  if (written === 'again') return secret(language.budgetAgain);
  if (written === 'given-up' || outcome === 'wrong') return secret(language.budgetGivenUp);
  return secret(setText(parts, event, { amount: outcome, language }));
}

async function asked(parts: BudgetParts, event: ChatEvent, language: Language): Promise<Reply> {
  const { dayMax, budget } = parts.spending.standing(event);
  const text = aboutBudget(parts.spending, event, language);
  if (parts.platform.hasForms || dayMax === 0n) return secret(text);
  const unset: readonly ButtonAction[] = budget === undefined ? [] : ['unset'];
  const buttons: readonly ButtonAction[] = ['quarter', 'half', 'whole', 'other', ...unset];
  return { rich: plain(`${text}\n\n${language.budgetAsk}`), buttons, isPrivate: true };
}

async function set(
  parts: BudgetParts,
  event: ChatEvent,
  { amount, language }: { readonly amount: bigint | undefined; readonly language: Language },
): Promise<Reply> {
  await parts.state.update(() => ({
    operations: parts.spending.setBudget(userOf(event), amount),
    result: undefined,
  }));
  return secret(setText(parts, event, { amount, language }));
}

function setText(
  { spending }: BudgetParts,
  event: ChatEvent,
  { amount, language }: { readonly amount: bigint | undefined; readonly language: Language },
): string {
  const { dayMax } = spending.standing(event);
  const isAbove = amount !== undefined && amount > dayMax;
  const now = aboutBudget(spending, event, language);
  return isAbove ? `${now} ${language.budgetAbove(formatAmount(dayMax))}` : now;
}

/** The budget, what is spent, and the limits that hold anyway. */
function aboutBudget(spending: Spending, event: ChatEvent, language: Language): string {
  const { budget, spentToday, callMax, dayMax } = spending.standing(event);
  const max = budget === undefined ? undefined : formatAmount(budget);
  const limits = language.budgetLimits({ callMax: formatAmount(callMax), dayMax: formatAmount(dayMax) });
  return `${language.budgetNow({ max, spentToday: formatAmount(spentToday) })} ${limits}`;
}

/** The amount in a text, `undefined` for no budget any more, or `wrong`. */
function read(text: string): bigint | undefined | 'wrong' {
  if (OFF.test(text.trim())) return undefined;
  return parseAmount(text.trim().replace(',', '.')) ?? 'wrong';
}

function formKey(event: ChatEvent): string {
  return BUDGET_FORMS + userOf(event);
}

function secret(text: string): Reply {
  return { rich: plain(text), buttons: [], isPrivate: true };
}
