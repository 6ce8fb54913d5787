/**
 * Discord's consumable products for credit. A purchase is an entitlement; once its credit is booked it is consumed, so that the
 * same product can be bought again. What was bought while no process listened is listed at the start.
 */
import { type APIEntitlement, DiscordAPIError, type REST, Routes } from 'discord.js';
import { formatAmount } from '../../base/amount.ts';
import type { ChatEvent, Shop } from '../core/platform.ts';
import { GIVEN_BACK, paymentEvent } from '../core/shop.ts';
import { discordFailure } from './failures.ts';

/** One size of credit. */
export interface ProductOffer {
  /** Id of the consumable SKU in the developer portal. */
  readonly sku: string;
  /** Grains. */
  readonly credit: bigint;
}

const LISTED_MAX = 100;

/** The shop; `undefined` where nothing is offered. Refunds are Discord's own. */
export function createProductShop(
  rest: REST,
  applicationId: string,
  products: readonly ProductOffer[],
): Shop | undefined {
  if (products.length === 0) return undefined;
  return {
    async offers(_event, language) {
      return products.map(({ sku, credit }) => ({
        label: language.offer({ price: 'Discord', credit: formatAmount(credit) }),
        url: `https://discord.com/application-directory/${applicationId}/store/${sku}`,
      }));
    },
    async booked(payment) {
      try {
        await rest.post(Routes.consumeEntitlement(applicationId, payment));
      } catch (error) {
        // Refused or unknown: it was consumed before, or is no consumable one. Either way it is booked.
        const isOver = error instanceof DiscordAPIError && (error.status === 400 || error.status === 404);
        if (!isOver) throw discordFailure(error);
      }
    },
  };
}

/** The event of a purchase, or of one that Discord took back; `undefined` for what is not sold for credit. */
export function entitlementEvent(
  entitlement: APIEntitlement,
  products: readonly ProductOffer[],
  { selfId, atMs }: { readonly selfId: string; readonly atMs: number },
): ChatEvent | undefined {
  const product = products.find(({ sku }) => sku === entitlement.sku_id);
  const { id, user_id: userId } = entitlement;
  if (product === undefined || userId === undefined) return undefined;
  if (entitlement.consumed && !entitlement.deleted) return undefined;
  const event = {
    platform: 'discord' as const,
    userId,
    userName: '',
    language: '',
    place: { chat: userId, thread: undefined, direct: true, guild: undefined },
    messageId: undefined,
    quote: '',
    attachments: [],
    token: '',
    atMs,
  };
  return paymentEvent(event, {
    id,
    amount: entitlement.deleted ? GIVEN_BACK : product.credit,
    bot: selfId,
  });
}

/** Purchases that are not consumed yet. */
export async function openEntitlements(
  rest: REST,
  applicationId: string,
): Promise<readonly APIEntitlement[]> {
  const query = new URLSearchParams({ exclude_ended: 'true', limit: String(LISTED_MAX) });
  try {
    // Discord documents the type of the route; the library leaves it unknown.
    const listed = await rest.get(Routes.entitlements(applicationId), { query });
    return (listed as readonly APIEntitlement[]).filter(({ consumed, deleted }) => !consumed && !deleted);
  } catch (error) {
    throw discordFailure(error);
  }
}
