/**
 * Credit for a platform's own currency, where an operator sells it: Telegram's Stars, Discord's products. A payment is an event
 * of the journal like any other and is booked once, by the platform's name for it. What was bought can be spent on answers; it
 * cannot be paid out, and as long as it is unspent it can be given back.
 */
import { createHash } from 'node:crypto';
import { formatAmount } from '../../base/amount.ts';
import { toHex } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { CommandCall } from './commands.ts';
import type { Language } from './language.ts';
import { patiently } from './patience.ts';
import { type ChatEvent, faultOf, type Platform } from './platform.ts';
import { type Job, type Purchase, purchaseSchema, type Reply } from './records.ts';
import { joined, plain, separated, styled } from './rich.ts';
import { type Spending, userOf } from './spending.ts';
import { put, type State } from './state.ts';

/** What the shop works with. */
export interface ShopParts {
  readonly spending: Spending;
  readonly state: State;
  readonly platform: Platform;
  readonly clock: Clock;
  readonly log: Log;
  /** How to reach the operator about payments, in the operator's words; may be empty. */
  readonly support: string;
}

/** What a payment's event says in place of an amount when the platform gave the money back. */
export const GIVEN_BACK = 'given-back';

/** Longest name of a payment that stands as it is, UTF-16 units. */
const PAYMENT_NAME_MAX = 64;

type ShopCommand = (parts: ShopParts, call: CommandCall) => Promise<Reply>;

/** Commands about buying credit, and what sellers have to say. */
const SHOP_COMMANDS: Readonly<Record<string, ShopCommand>> = {
  async buy(parts, { event, language }) {
    const { shop } = parts.platform;
    const offers = shop ? await patiently(parts, () => shop.offers(event, language)) : [];
    if (offers.length === 0) return secret(language.shopClosed);
    const lines = offers.map(({ label, url }) => joined('• ', styled(label, 'link', { url })));
    const reply = separated([styled(language.shopTitle, 'bold'), ...lines, plain(language.shopNote)], '\n');
    return { rich: reply, buttons: [], isPrivate: true };
  },
  refund,
  terms: async ({ support }, { language }) => shown(language.terms(support)),
  paysupport: async ({ support }, { language }) => shown(language.paySupport(support)),
};

/** What platforms list where something is sold. */
export const SHOP_TEXTS: Readonly<Record<string, string>> = {
  buy: 'Buy credit',
  refund: 'Give unspent credit back',
};

/** Shop commands whose reply only the person may read. */
export const SHOP_PRIVATE: readonly string[] = ['buy', 'refund'];

/** The reply to a command about buying; `undefined` for any other. */
export async function shopReply(parts: ShopParts, call: CommandCall): Promise<Reply | undefined> {
  const name = call.event.text;
  return Object.hasOwn(SHOP_COMMANDS, name) ? SHOP_COMMANDS[name]?.(parts, call) : undefined;
}

/** The event of a payment, or with `GIVEN_BACK` of one that the platform took back. */
export function paymentEvent(
  event: Omit<ChatEvent, 'id' | 'type' | 'text' | 'argument'>,
  payment: { readonly id: string; readonly amount: bigint | typeof GIVEN_BACK; readonly bot: string },
): ChatEvent {
  const which = payment.amount === GIVEN_BACK ? GIVEN_BACK : 'paid';
  const id = `${event.platform}:${payment.bot}:${which}:${shortName(payment.id)}`;
  return { ...event, id, type: 'payment', text: payment.id, argument: String(payment.amount) };
}

/** A payment's name where it may be part of another: Telegram's are longer than names are here. */
function shortName(payment: string): string {
  if (payment.length <= PAYMENT_NAME_MAX) return payment;
  return createHash('sha256').update(payment).digest('hex');
}

/** Whether a payment was booked. */
export function isBooked(state: State, user: string, payment: string): boolean {
  return state.get(purchaseKey(user, payment), purchaseSchema) !== undefined;
}

/** Books a payment, or that one was taken back, and says so. It asks neither policy nor pace: the person has paid. */
export async function takePayment(
  parts: ShopParts,
  { event }: Job,
  language: Language,
): Promise<Reply | undefined> {
  const { spending, state, clock, platform, log } = parts;
  const user = userOf(event);
  const payment = event.text;
  const key = purchaseKey(user, payment);
  const booking = { id: `${event.platform}:${shortName(payment)}`, atMs: clock.nowMs() };
  if (event.argument === GIVEN_BACK) {
    await state.update(() => {
      const known = state.get(key, purchaseSchema);
      // Jobs run side by side: one that is heard of first as taken back is booked no more.
      const unheard: Purchase = { payment, amount: 0n, state: 'returned', atMs: event.atMs };
      if (known === undefined) return { operations: [put(key, purchaseSchema, unheard)], result: undefined };
      if (known.state !== 'kept') return { operations: [], result: undefined };
      const operations = [
        ...spending.takeBack(user, known.amount, booking),
        put(key, purchaseSchema, { ...known, state: 'returned' }),
      ];
      return { operations, result: undefined };
    });
    return undefined;
  }
  const amount = /^[1-9]\d{0,20}$/.test(event.argument) ? BigInt(event.argument) : 0n;
  if (amount === 0n) {
    log.error('a payment that names no offer of ours', { payment });
    return secret(language.paySupport(parts.support));
  }
  await state.update(() => {
    if (state.get(key, purchaseSchema) !== undefined) return { operations: [], result: undefined };
    const bought: Purchase = { payment, amount, state: 'kept', atMs: event.atMs };
    const operations = [...spending.give(user, amount, booking), put(key, purchaseSchema, bought)];
    return { operations, result: undefined };
  });
  const { booked } = platform.shop ?? {};
  if (booked) await patiently(parts, () => booked(payment));
  return event.messageId === undefined ? undefined : secret(language.bought(formatAmount(amount)));
}

/**
 * Gives the last unspent purchase back. The credit goes before the platform is asked; after a crash, or when the platform
 * gave no answer, the same purchase is gone on with. A platform that refuses leaves the credit where it was.
 */
async function refund(parts: ShopParts, { event, key, language }: CommandCall): Promise<Reply> {
  const { platform, state, spending, clock } = parts;
  const give = platform.shop?.refund;
  if (give === undefined) return secret(language.paySupport(parts.support));
  const user = userOf(event);
  const purchases = await purchasesOf(state, user);
  const chosen =
    purchases.find((one) => one.state === 'returning') ?? purchases.find((one) => one.state === 'kept');
  if (chosen === undefined) return secret(language.refundNone);
  const { payment, amount } = chosen;
  const entry = (now: Purchase['state']) =>
    put(purchaseKey(user, payment), purchaseSchema, { ...chosen, state: now });
  const booking = { id: `${event.platform}:${shortName(payment)}:${key}`, atMs: clock.nowMs() };
  const now = (): Purchase['state'] | undefined =>
    state.get(purchaseKey(user, payment), purchaseSchema)?.state;
  const isBegun = await state.update(() => {
    // Another command may have begun it since it was chosen, or ended it.
    if (now() !== 'kept') return { operations: [], result: true };
    if (spending.refundable(user) < amount) return { operations: [], result: false };
    return { operations: [...spending.takeBack(user, amount, booking), entry('returning')], result: true };
  });
  if (!isBegun) return secret(language.refundSpent(formatAmount(amount)));
  try {
    await patiently(parts, () => give(event.userId, payment));
  } catch (error) {
    if (faultOf(error) !== 'refused') throw error;
    const undone = { ...booking, id: `${booking.id}:undone` };
    await state.update(() => ({
      operations: now() === 'returning' ? [...spending.give(user, amount, undone), entry('kept')] : [],
      result: undefined,
    }));
    return secret(language.paySupport(parts.support));
  }
  await state.update(() => {
    // Another command that was refused may have put the credit back meanwhile.
    const again = { ...booking, id: `${booking.id}:again` };
    const taken = now() === 'kept' ? spending.takeBack(user, amount, again) : [];
    return { operations: [...taken, entry('returned')], result: undefined };
  });
  return secret(language.refunded(formatAmount(amount)));
}

/** A user's purchases, newest first. */
async function purchasesOf(state: State, user: string): Promise<readonly Purchase[]> {
  const found: Purchase[] = [];
  for await (const [, value] of state.entries(`purchase/${user}/`)) found.push(purchaseSchema.decode(value));
  return found.sort((a, b) => b.atMs - a.atMs);
}

function purchaseKey(user: string, payment: string): string {
  return `purchase/${user}/${toHex(Buffer.from(payment))}`;
}

function shown(text: string): Reply {
  return { rich: plain(text), buttons: [], isPrivate: false };
}

function secret(text: string): Reply {
  return { rich: plain(text), buttons: [], isPrivate: true };
}
