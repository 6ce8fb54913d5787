/** What a call tells whoever asked over the admin API, and how it ended. */
import type { CallEvent, CallResult } from '../agent/caller.ts';
import { groundednessOf } from '../agent/groundedness.ts';
import { formatAmount } from '../base/amount.ts';
import { toHex } from '../base/bytes.ts';
import { asSaharaError } from '../base/errors.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { blockHeader } from '../protocol/block.ts';
import { CALL_FRAME } from '../protocol/call.ts';
import type { Card } from '../protocol/card.ts';
import { didOf, type Hash, shortHex } from '../protocol/ids.ts';
import type { CallPayment } from '../protocol/once.ts';
import { nativeSuite } from '../protocol/suite-native.ts';
import { transactionId } from '../protocol/transaction.ts';
import { readAnswer } from '../protocol/verify-answer.ts';
import type { AskEnd, AskEvent } from './admin/types.ts';
import type { Callers } from './callers.ts';

/** An event of a call as it is told, if it is. */
export function askEventOf(event: CallEvent): AskEvent | undefined {
  switch (event.type) {
    case 'progress':
      return event.stage === 'queued'
        ? { type: 'progress', step: 'queue', detail: `Waiting; ${event.ahead} before you.` }
        : undefined;
    case 'source': {
      const { document, title, text, contributor, licence } = event.source;
      return {
        type: 'source',
        index: event.index,
        document,
        title,
        text,
        contributor: didOf(contributor),
        licence,
      };
    }
    case 'text':
      return { type: 'delta', text: event.text, citations: [] };
    case 'citation':
      return { type: 'delta', text: '', citations: [event.citation] };
    case 'checkpoint':
      return { type: 'paid', amount: String(event.amount), cover: String(event.cover) };
    case 'payment': {
      const detail =
        event.state === 'paying'
          ? `Paying ${formatAmount(event.amount)} by one transaction; it is not given back.`
          : `Paid ${formatAmount(event.amount)}; asking.`;
      return { type: 'progress', step: 'payment', detail };
    }
    case 'stream':
      return event.state === 'cut'
        ? { type: 'progress', step: 'stream', detail: 'The connection broke; going on where it was.' }
        : undefined;
    case 'child':
    case 'ending':
      return undefined;
  }
}

/** Saves the evidence of a call and says how it ended. */
export async function askEndOf(
  parts: { readonly callers: Callers; readonly ledger: Pick<Ledger, 'read'> },
  card: Card,
  result: CallResult,
): Promise<Omit<AskEnd, 'tookMs'>> {
  const { receipt, evidence } = result;
  const names = await assetNames(parts.ledger, card, receipt.shares);
  return {
    callId: toHex(result.callId),
    finish: result.finish,
    amount: String(result.amount),
    inputUnits: receipt.inputUnits,
    outputUnits: receipt.outputUnits,
    expenses: String(receipt.expenses),
    calls: evidence.deliveries.filter(({ kind }) => kind === CALL_FRAME.child).length,
    shares: receipt.shares.map(({ asset, role, ppm, amount }, i) => ({
      asset: toHex(asset),
      role,
      name: role === 'calls' ? 'what the calls below cost' : (names[i] ?? ''),
      ppm,
      amount: String(amount),
    })),
    ...(receipt.channel !== undefined && { channel: toHex(receipt.channel) }),
    ...supportOf(result),
    ...(evidence.payment && { payment: paymentRow(evidence.payment, receipt.network) }),
    path: await parts.callers.save(result),
  };
}

/**
 * How much of an answer rests on what it cites, as counted here. Nothing is said of one that found nothing, or that passes
 * on what other agents said.
 */
function supportOf({ callId, finish, evidence }: CallResult): Pick<AskEnd, 'supported'> {
  const { deliveries } = evidence;
  if (finish === 'nothing-found' || deliveries.some(({ kind }) => kind === CALL_FRAME.child)) return {};
  const { text, sources, citations } = readAnswer(nativeSuite, callId, deliveries);
  const said = { text, citations, sources: sources.map((source) => source.text) };
  const { sentences, grounded, first } = groundednessOf(said);
  if (sentences === 0) return {};
  return { supported: { sentences, grounded, ...(first !== undefined && { first }) } };
}

/** Where the ledger has the transaction that paid a call. */
function paymentRow({ transaction, header }: CallPayment, network: string): AskEnd['payment'] {
  return {
    transaction: toHex(transactionId(nativeSuite, network, transaction.payload)),
    height: blockHeader.decode(header.payload).height,
  };
}

/** What assets are called: by the ledger, which may not have them yet, or have nobody who proves them. */
async function assetNames(
  ledger: Pick<Ledger, 'read'>,
  card: Card,
  shares: readonly { readonly asset: Hash }[],
): Promise<readonly string[]> {
  let known: readonly (string | undefined)[] = [];
  try {
    known = await ledger.read((reads) => shares.map(({ asset }) => reads.asset(asset)?.name));
  } catch (error) {
    // The answer is there; it does not fail for want of a name.
    if (asSaharaError(error).code !== 'state-unproven') throw error;
  }
  return shares.map(
    ({ asset }, i) =>
      known[i] ?? (toHex(asset) === toHex(card.asset) ? card.name : `asset ${shortHex(asset)}`),
  );
}
