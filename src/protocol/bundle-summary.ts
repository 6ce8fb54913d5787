/** What a sound evidence bundle says, for people and programs that do not read its records. */
import { toHex } from '../base/bytes.ts';
import type { BilledCall } from './bill.ts';
import type { Card } from './card.ts';
import { didOf } from './ids.ts';
import type { Receipt, ReceiptShare } from './payment.ts';
import type { Answer } from './verify-answer.ts';
import type { Decision } from './verify-consensus.ts';
import type { ReceiptContext } from './verify-receipt.ts';

/** What one earner of the call got, and who contributed through it. */
export interface BundleShare extends ReceiptShare {
  /** DIDs of the contributors whose cited passages belong to the asset. Empty for other roles. */
  readonly contributors: readonly string[];
}

/** What a sound bundle says. */
export interface BundleSummary {
  readonly network: string;
  readonly callId: string;
  readonly agentName: string;
  /** DIDs. */
  readonly agent: string;
  readonly operator: string;
  readonly payer: string;
  readonly question: string;
  readonly answer: Answer;
  readonly card: Card;
  readonly receipt: Receipt;
  readonly shares: readonly BundleShare[];
  /** What the call and every call below it cost. */
  readonly bill: BilledCall;
  /** Present when the bundle proves settlement. */
  readonly settlement:
    | {
        readonly height: number;
        readonly timeMs: number;
        /** How much of the validators decided on the block; absent where a sequencer signed it. */
        readonly decision: Decision | undefined;
        /** A claim of many calls, or the payment of this one alone. */
        readonly by: 'claim' | 'payment';
        /** Hex id of that transaction. */
        readonly transaction: string;
        /** What the claimed charge adds up to, or the payment: grains. */
        readonly chargeTotal: bigint;
      }
    | undefined;
}

/** What a sound bundle says, out of its parts. */
export function summaryOf(parts: {
  readonly context: ReceiptContext;
  readonly answer: Answer;
  readonly receipt: Receipt;
  readonly bill: BilledCall;
  readonly settlement: BundleSummary['settlement'];
}): BundleSummary {
  const { context, answer, receipt: final } = parts;
  return {
    network: context.network,
    callId: toHex(final.callId),
    agentName: context.card.name,
    agent: didOf(final.agent),
    operator: didOf(final.payee),
    payer: didOf(final.payer),
    question: context.request.question,
    answer,
    card: context.card,
    receipt: final,
    shares: final.shares.map((share) => ({ ...share, contributors: contributorsOf(answer, share) })),
    bill: parts.bill,
    settlement: parts.settlement,
  };
}

function contributorsOf(answer: Answer, share: ReceiptShare): readonly string[] {
  if (share.role !== 'knowledge') return [];
  const cited = new Set(answer.citations.map((citation) => citation.source));
  const asset = toHex(share.asset);
  const names = answer.sources
    .filter((from, index) => cited.has(index) && toHex(from.asset) === asset)
    .map((from) => didOf(from.contributor));
  return [...new Set(names)];
}
