/**
 * Telegram's Stars for credit. An invoice says how many Stars it wants and how much credit it promises; Telegram hands both
 * back unchanged with the payment, so a payment is honoured as it was offered even when the prices have changed since.
 */
import { type Api, GrammyError } from 'grammy';
import type { PreCheckoutQuery } from 'grammy/types';
import { formatAmount } from '../../base/amount.ts';
import type { Shop } from '../core/platform.ts';
import { telegramFailure } from './failures.ts';

/** One size of credit. */
export interface StarOffer {
  readonly stars: number;
  /** Grains. */
  readonly credit: bigint;
}

/** Currency of Stars. */
const STARS = 'XTR';
/** Addresses of invoices that are kept, by offer and language. */
const LINKS_MAX = 256;

/** What Telegram carries along with an invoice. */
export function starPayload({ stars, credit }: StarOffer): string {
  return `credit:${stars}:${credit}`;
}

/** The credit that a payment was promised; `undefined` when it is not for an invoice of ours. Grains. */
export function promisedCredit(payment: {
  readonly currency: string;
  readonly total_amount: number;
  readonly invoice_payload: string;
}): bigint | undefined {
  const match = /^credit:(\d{1,9}):(\d{1,20})$/.exec(payment.invoice_payload);
  if (match === null || payment.currency !== STARS || Number(match[1]) !== payment.total_amount)
    return undefined;
  return BigInt(match[2] ?? '0');
}

/** Whether a payment that is about to be made is for one of the present offers. */
export function isOffered(query: PreCheckoutQuery, offers: readonly StarOffer[]): boolean {
  return (
    promisedCredit(query) !== undefined &&
    offers.some((offer) => starPayload(offer) === query.invoice_payload)
  );
}

/** The shop; `undefined` where nothing is offered. */
export function createStarShop(api: Api, offers: readonly StarOffer[]): Shop | undefined {
  if (offers.length === 0) return undefined;
  const links = new Map<string, string>();

  return {
    offers: (_event, language) =>
      Promise.all(
        offers.map(async (offer) => {
          const credit = formatAmount(offer.credit);
          const payload = starPayload(offer);
          const known = `${language.tag}/${payload}`;
          const prices = [{ label: credit, amount: offer.stars }];
          try {
            const url =
              links.get(known) ??
              (await api.createInvoiceLink(
                language.shopTitle,
                language.shopNote,
                payload,
                '',
                STARS,
                prices,
              ));
            if (links.size < LINKS_MAX) links.set(known, url);
            return { label: language.offer({ price: `${offer.stars} ⭐`, credit }), url };
          } catch (error) {
            throw telegramFailure(error);
          }
        }),
      ),
    async refund(userId, payment) {
      try {
        await api.refundStarPayment(Number(userId), payment);
      } catch (error) {
        const isDone = error instanceof GrammyError && /CHARGE_ALREADY_REFUNDED/i.test(error.description);
        if (!isDone) throw telegramFailure(error);
      }
    },
  };
}
