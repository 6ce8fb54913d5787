/** What a watchtower makes of a claim without its signatures, and what a lane is still due. */
import { equalBytes } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import type { Channel } from '../ledger/ledger.ts';
import type { ClaimBody } from '../protocol/actions-channel.ts';
import {
  attributionRoot,
  charge as chargeSchema,
  isSortedAttribution,
  voucher as voucherSchema,
} from '../protocol/payment.ts';
import type { Suite } from '../protocol/suite.ts';

/** What a claim says of its lane. */
export interface ClaimTerms {
  readonly lane: number;
  /** Grains. */
  readonly ceiling: bigint;
  /** Grains. */
  readonly total: bigint;
}

/** The terms of a claim of this network; `undefined` when the ledger would refuse it whoever signed it. */
export function checkWatched(
  parts: { readonly suite: Suite; readonly ledger: { readonly network: string } },
  claim: ClaimBody,
): ClaimTerms | undefined {
  const read = readTerms(claim);
  if (read === undefined) return undefined;
  const { voucher, charge } = read;
  const { network } = parts.ledger;
  const here = [voucher, charge].every(
    (one) => one.network === network && equalBytes(one.channel, claim.channel),
  );
  if (!here || voucher.lane !== charge.lane || !isSortedAttribution(claim.attribution)) return undefined;
  const sum = claim.attribution.reduce((all, { amount }) => all + amount, 0n);
  if (sum !== charge.total) return undefined;
  if (!equalBytes(attributionRoot(parts.suite, claim.attribution), charge.attributionRoot)) return undefined;
  return { lane: voucher.lane, ceiling: voucher.ceiling, total: charge.total };
}

function readTerms(claim: ClaimBody) {
  try {
    return {
      voucher: voucherSchema.decode(claim.voucher.payload),
      charge: chargeSchema.decode(claim.charge.payload),
    };
  } catch (error) {
    if (error instanceof SaharaError && error.code === 'malformed') return undefined;
    throw error;
  }
}

/** What the ledger would pay on a lane, grains: LEDGER-18 and LEDGER-109. */
export function dueOf(channel: Channel, { lane, ceiling, total }: ClaimTerms): bigint {
  const known = channel.lanes.find((one) => one.lane === lane);
  const bound = least(ceiling, total, known?.frozen?.total ?? total);
  return least(bound - (known?.paid ?? 0n), channel.deposit - channel.claimed);
}

/** Whether all that is due on these lanes is still there once `leaving` has left the deposit. */
export function withinMost(channel: Channel, lanes: readonly ClaimTerms[], leaving: bigint): boolean {
  const due = lanes.reduce((sum, lane) => sum + dueOf(channel, lane), 0n);
  return due <= channel.deposit - channel.claimed - leaving;
}

function least(...amounts: readonly bigint[]): bigint {
  return amounts.reduce((a, b) => (b < a ? b : a));
}
