/** What pays for a call at its host: the voucher of its opening, or a call out of the caller's free ones. */
import { SaharaError } from '../base/errors.ts';
import { point } from '../base/points.ts';
import type { CallTerms, ReadOpening } from './admission.ts';
import { HOLD_GRACE_MS } from './call-limits.ts';
import { Meter } from './host-meter.ts';
import { checkPayment } from './host-once.ts';
import type { OncePayee, PayeeLease, PayeePort } from './ports.ts';
import type { FreeCall, QuotaBook } from './quota.ts';

/** A call that passed every check. */
export interface Admitted {
  readonly terms: CallTerms;
  /** Both absent for a free call. */
  readonly meter: Meter | undefined;
  readonly lease: PayeeLease | undefined;
  readonly startedAtMs: number;
}

type Opened = Pick<ReadOpening, 'opening' | 'envelope' | 'request' | 'hosted' | 'once'>;

/** The meter of a paid call; `undefined` for a free one. Throws `voucher-insufficient`. */
export function meterFor({ opening, request }: Opened, terms: CallTerms): Meter | undefined {
  if (opening.voucher === undefined || terms.amountMax === 0n) return undefined;
  return new Meter(terms, request.cover);
}

/**
 * The voucher's part of a paid call; for a free one, a call out of the caller's quota. One that a transaction pays has
 * neither. Throws `payment-required`, `quota-exhausted`, `payment-invalid`, `replayed`, and what the payee's book throws.
 */
export async function leaseFor(
  parts: { readonly payee: PayeePort; readonly quota: QuotaBook; readonly once?: OncePayee },
  call: {
    readonly read: Opened;
    readonly terms: CallTerms;
    readonly meter: Meter | undefined;
    readonly peerId: string;
    /** Aborts when the call is given up. */
    readonly signal: AbortSignal;
  },
): Promise<PayeeLease | undefined> {
  const { read, terms, meter, peerId, signal } = call;
  const { card } = terms.hosted;
  if (terms.amountMax === 0n) return undefined;
  if (read.once !== undefined) {
    checkPayment(parts.once, { ...read, once: read.once, card });
    return undefined;
  }
  const { voucher } = read.opening;
  if (voucher === undefined || meter === undefined) {
    if (card.free.calls === 0) throw new SaharaError('payment-required', { price: String(terms.amountMax) });
    parts.quota.take(freeCallOf(read, peerId), card.free);
    return undefined;
  }
  const lease = await parts.payee.admit({
    callId: read.envelope.id,
    payer: read.envelope.from,
    voucher,
    requestHash: read.envelope.bodyHash,
    agentAsset: card.asset,
    amountMax: meter.cover,
    holdMs: terms.deadlineMs + HOLD_GRACE_MS,
    signal,
  });
  point('host:leased');
  return lease;
}

/** Gives back what a call held that ended without an answer. */
export function giveBack(
  { quota }: { readonly quota: QuotaBook },
  { read, terms, lease }: Pick<Admitted, 'terms' | 'lease'> & { readonly read: Opened },
  peerId: string,
): void {
  if (lease !== undefined) lease.release();
  else if (terms.amountMax > 0n && read.once === undefined) quota.giveBack(freeCallOf(read, peerId));
}

/** Who asks whom for a free call. */
function freeCallOf({ envelope, hosted }: Opened, peerId: string): FreeCall {
  return { agent: hosted.card.agent, caller: envelope.from, peerId };
}
