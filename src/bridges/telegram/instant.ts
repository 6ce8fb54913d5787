/** What must be answered at once and is worth nothing later, so that the journal does not hold it. */
import type { Api } from 'grammy';
import type { InlineQuery, PreCheckoutQuery, Update, User } from 'grammy/types';
import type { Log } from '../../base/log.ts';
import type { AgentIndex } from '../core/agent-index.ts';
import { languageFor } from '../core/languages.ts';
import type { PolicyOptions } from '../core/policy.ts';
import type { TelegramSelf } from './events.ts';
import { telegramFailure } from './failures.ts';
import { inlineAnswer } from './inline.ts';
import { isOffered, type StarOffer } from './stars.ts';

/** What instant answers work with. */
export interface InstantParts {
  readonly api: Api;
  readonly index: AgentIndex;
  readonly self: TelegramSelf;
  readonly policy: PolicyOptions;
  /** What is sold; empty: nothing. */
  readonly stars: readonly StarOffer[];
  readonly log: Log;
}

/** How long Telegram may show the same results again, seconds: agents come and go. */
const CACHED_SECONDS = 15;

/** Answers an update that wants it at once; others are left alone. Never throws. */
export function createInstant(parts: InstantParts): (update: Update) => void {
  const { api, index, self, policy, stars, log } = parts;

  const mayAsk = ({ id }: User): boolean => {
    const user = `telegram:${id}`;
    return (
      !policy.blocked.includes(user) &&
      (policy.users === 'all' || policy.users.includes(user) || policy.admins.includes(user))
    );
  };

  async function answerInline(query: InlineQuery): Promise<void> {
    const { results, nextOffset } = mayAsk(query.from)
      ? inlineAnswer(query, index, self)
      : { results: [], nextOffset: '' };
    await api.answerInlineQuery(query.id, results, {
      cache_time: CACHED_SECONDS,
      is_personal: true,
      next_offset: nextOffset,
    });
  }

  /** A payment is let through only for what is offered now; nothing is booked before it is made. */
  async function answerCheckout(query: PreCheckoutQuery): Promise<void> {
    const isGood = mayAsk(query.from) && isOffered(query, stars);
    const language = languageFor(query.from.language_code ?? '');
    await api.answerPreCheckoutQuery(
      query.id,
      isGood,
      isGood ? {} : { error_message: language.checkoutRefused },
    );
  }

  return (update) => {
    const { inline_query: inline, pre_checkout_query: checkout } = update;
    const answering = inline ? answerInline(inline) : checkout && answerCheckout(checkout);
    answering?.catch((error) => log.warn('not answered at once', { code: telegramFailure(error).code }));
  };
}
