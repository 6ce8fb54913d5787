/** Every sentence that a bridge says, in one table for each language. */
import { ERROR_KINDS, type ErrorCode, type SaharaError } from '../../base/errors.ts';
import type { LearnLanguage } from './learn-language.ts';
import type { ButtonAction } from './platform.ts';

/** What went wrong, as far as someone in a chat can do something about it. */
export type FailureSentence =
  | 'agent-unknown'
  | 'agent-unreachable'
  | 'busy'
  | 'too-long'
  | 'no-money'
  | 'above-cap'
  | 'cap-reached'
  | 'refused'
  | 'attachment'
  | 'nothing-found'
  | 'proof-broken'
  | 'timeout'
  | 'cancelled'
  | 'no-receipt'
  | 'broken';

/** Sentences of one language. Amounts arrive formatted. */
export interface Language extends LearnLanguage {
  readonly tag: string;
  readonly buttons: Readonly<Record<ButtonAction, string>>;
  readonly failures: Readonly<Record<FailureSentence, string>>;
  /** Under a failure: the id to give to the operator. */
  failureId(id: string): string;
  thinking(agent: string): string;
  readonly stopped: string;
  /** An answer that broke off: units that were delivered, and what they cost. */
  endedEarly(parts: { readonly units: number; readonly amount: string }): string;
  /** The connection was lost; so much stays held until it is known what the answer cost. */
  outcomeOpen(amountMax: string): string;
  /** The most that the answer can cost, and how long there is time to agree. */
  approvalAsk(parts: { readonly agent: string; readonly amount: string; readonly minutes: number }): string;
  readonly approvalDismissed: string;
  readonly approvalLapsed: string;
  readonly approvalDecided: string;
  /** `until`: a time, UTC. */
  agentPaused(parts: { readonly agent: string; readonly until: string }): string;
  agentInDoubt(agent: string): string;
  readonly cutShort: string;
  readonly nothingFound: string;
  cost(parts: { readonly amount: string; readonly agent: string; readonly id: string }): string;
  readonly free: string;
  /** In place of an amount that is not known yet. */
  readonly amountOpen: string;
  readonly sources: string;
  readonly noSources: string;
  readonly help: string;
  readonly privacy: string;
  readonly forgotten: string;
  readonly historyTitle: string;
  readonly historyEmpty: string;
  readonly agentsTitle: string;
  readonly agentsEmpty: string;
  agentNow(name: string): string;
  agentNone(name: string, nearest: readonly string[]): string;
  readonly agentUnset: string;
  balance(parts: {
    readonly balance: string;
    readonly held: string;
    readonly spentToday: string;
    readonly payable: string;
  }): string;
  /** Money does not come in or go out here. */
  readonly moneyOff: string;
  /** What to do with the command that follows. */
  readonly deposit: string;
  readonly withdrawHow: string;
  readonly withdrawNothing: string;
  withdrawTooMuch(parts: { readonly payable: string; readonly fee: string }): string;
  withdrawPaid(parts: { readonly amount: string; readonly to: string; readonly block: number }): string;
  readonly withdrawUnderWay: string;
  readonly withdrawRefused: string;
  readonly budgetHow: string;
  /** What the operator allows anyway. */
  budgetLimits(parts: { readonly callMax: string; readonly dayMax: string }): string;
  /** Under it: buttons with parts of the limit. */
  readonly budgetAsk: string;
  /** The next message is the amount. */
  readonly budgetAmount: string;
  readonly budgetAgain: string;
  readonly budgetGivenUp: string;
  /** The limit is lower than the budget. */
  budgetAbove(dayMax: string): string;
  /** `max`: absent without a budget. */
  budgetNow(parts: { readonly max: string | undefined; readonly spentToday: string }): string;
  /** What to do with the command that follows. */
  readonly linkHow: string;
  linked(parts: LinkedParts): string;
  readonly linkWrong: string;
  readonly linkTaken: string;
  readonly linkNone: string;
  readonly unlinked: string;
  readonly receiptTitle: string;
  receiptLine(parts: { readonly who: string; readonly share: string; readonly amount: string }): string;
  readonly receiptNone: string;
  /** `block`: where the ledger paid for it; absent while it has not. */
  proofGood(checks: number, block: number | undefined): string;
  proofBad(reason: string): string;
  explain(parts: ExplainParts): string;
  readonly askWhat: string;
  readonly notYours: string;
  readonly groupClosed: string;
  readonly notListed: string;
  tooFast(seconds: number): string;
  readonly tooMany: string;
  readonly openDirect: string;
  readonly stopping: string;
  readonly alreadyDone: string;
  readonly commandUnknown: string;
  /** The form for a long question: at most 45 characters each. */
  readonly formTitle: string;
  readonly formQuestion: string;
  readonly formAbout: string;
  readonly formBudget: string;
  readonly formBudgetField: string;
  readonly rated: string;
  readonly shopTitle: string;
  readonly shopNote: string;
  readonly shopClosed: string;
  /** A platform's price and the credit for it. */
  offer(parts: { readonly price: string; readonly credit: string }): string;
  bought(amount: string): string;
  readonly refundNone: string;
  refundSpent(amount: string): string;
  refunded(amount: string): string;
  /** `contact`: how to reach the operator; may be empty. */
  terms(contact: string): string;
  paySupport(contact: string): string;
  readonly checkoutRefused: string;
}

/** What a grant allows. */
export interface LinkedParts {
  readonly did: string;
  readonly callMax: string;
  readonly dayMax: string;
  readonly max: string;
  /** A date. */
  readonly until: string;
}

/** What the arithmetic of a receipt is told with. */
export interface ExplainParts {
  readonly perCall: string;
  readonly input: string;
  readonly output: string;
  readonly total: string;
  readonly shares: number;
}

const SENTENCES: Readonly<Partial<Record<ErrorCode, FailureSentence>>> = {
  'agent-unknown': 'agent-unknown',
  'skill-unknown': 'agent-unknown',
  'peer-unreachable': 'agent-unreachable',
  'peer-gone': 'agent-unreachable',
  'daemon-not-running': 'agent-unreachable',
  'backend-failed': 'agent-unreachable',
  'rate-limited': 'busy',
  overloaded: 'busy',
  'too-large': 'too-long',
  'context-overflow': 'too-long',
  'funds-insufficient': 'no-money',
  'price-above-max': 'above-cap',
  'quota-exhausted': 'cap-reached',
  'document-unsupported': 'attachment',
  'document-too-large': 'attachment',
  'document-unreadable': 'attachment',
  'vault-empty': 'nothing-found',
  'receipt-invalid': 'proof-broken',
  'answer-invalid': 'proof-broken',
  'bundle-invalid': 'proof-broken',
  'deadline-exceeded': 'timeout',
  cancelled: 'cancelled',
  'receipt-unknown': 'no-receipt',
};

const BY_KIND = {
  input: 'refused',
  refused: 'refused',
  missing: 'agent-unknown',
  unavailable: 'agent-unreachable',
  corrupt: 'proof-broken',
  cancelled: 'cancelled',
  internal: 'broken',
} as const;

/** The sentence for an error: by its code where a person can do something particular, else by its kind. */
export function failureSentence(error: SaharaError): FailureSentence {
  return SENTENCES[error.code] ?? BY_KIND[ERROR_KINDS[error.code]];
}
