/** Channels, earnings, receipts: the money of this operator. */
import { readFile } from 'node:fs/promises';
import { parseAmount } from '../../base/amount.ts';
import { equalBytes, toHex } from '../../base/bytes.ts';
import { SaharaError } from '../../base/errors.ts';
import type { Asset } from '../../ledger/ledger.ts';
import { unpaid } from '../../payment/claims.ts';
import { type Bundle, bundle, readBundle } from '../../protocol/bundle.ts';
import { callRequest } from '../../protocol/call.ts';
import { card } from '../../protocol/card.ts';
import { checkpointOf } from '../../protocol/certified-header.ts';
import { didOf, type Hash, publicKeyOf } from '../../protocol/ids.ts';
import { receipt as receiptSchema } from '../../protocol/payment.ts';
import { nativeSuite } from '../../protocol/suite-native.ts';
import { verifyBundle } from '../../protocol/verify-bundle.ts';
import type { AdminHandlers } from '../admin/methods.ts';
import type { EarningRow, ReceiptRow } from '../admin/types.ts';
import { channelRows, closeChannel, findChannel, openChannel } from '../channels.ts';
import type { Running } from '../compose.ts';
import { challengeOn, followDisputes, paidChannel } from '../disputes.ts';
import { inOrder, partiesOf, proveKeys } from '../key-proofs.ts';
import { findReceipt, newestReceipts, saveReceipt } from '../receipts.ts';
import { cancelWithdrawal, withdrawFrom } from '../withdrawing.ts';

type MoneyMethods =
  | 'channel.list'
  | 'channel.open'
  | 'channel.claim'
  | 'channel.close'
  | 'channel.withdraw'
  | 'channel.withdraw.cancel'
  | 'channel.challenge'
  | 'channel.disputes'
  | 'earnings'
  | 'receipts'
  | 'receipts.bundle';

const RECEIPTS_DEFAULT = 20;

/** The money of this operator. */
export function moneyHandlers(running: Running): Pick<AdminHandlers, MoneyMethods> {
  return {
    'channel.list': () => channelRows(running),
    async 'channel.open'({ payee, deposit }, signal) {
      const key =
        publicKeyOf(payee) ?? running.directory.find(payee, await running.knownNames.of(payee)).operator;
      const grains =
        deposit === undefined ? parseAmount(running.config.wallet.channelDeposit) : BigInt(deposit);
      const id = toHex(await openChannel(running, { payee: key, deposit: grains ?? 0n }, { signal }));
      const row = (await channelRows(running)).find((channel) => channel.id === id);
      if (row === undefined) throw new SaharaError('channel-unknown', { channel: id });
      return row;
    },
    async 'channel.claim'({ channel }, signal) {
      const only = channel === undefined ? undefined : findChannel(running, channel).id;
      const { failed } = await running.claimer.round({ all: true, signal, ...(only && { only }) });
      const [first] = failed;
      if (first !== undefined) {
        throw new SaharaError('tx-refused', { channel: toHex(first.channel), reason: first.code });
      }
      const rows = (await channelRows(running)).filter(({ role }) => role === 'payee');
      return only === undefined ? rows : rows.filter(({ id }) => id === toHex(only));
    },
    'channel.close': ({ channel }, signal) =>
      closeChannel(running, findChannel(running, channel), { signal }),
    'channel.withdraw': ({ channel, amount, announce }, signal) =>
      withdrawFrom(
        running,
        { channel: findChannel(running, channel), amount: BigInt(amount), announce: announce === true },
        { signal },
      ),
    'channel.withdraw.cancel': ({ channel }, signal) =>
      cancelWithdrawal(running, findChannel(running, channel), { signal }),
    'channel.challenge': ({ channel, dryRun }, signal) =>
      challengeOn(
        running,
        { channel: paidChannel(running.payer, channel), dryRun: dryRun === true },
        { signal },
      ),
    'channel.disputes': (_input, signal) => followDisputes(running.disputes.watch, signal),
    earnings: () => earnings(running),
    receipts: ({ limit }) => receipts(running, limit ?? RECEIPTS_DEFAULT),
    'receipts.bundle': ({ callId }) => settledBundle(running, callId),
  };
}

/** Assets that this operator registered or owns a share of. */
export async function ownAssets({ assets, ledger, wallet }: Running): Promise<readonly Asset[]> {
  const ids = new Map<string, Hash>();
  for (const id of await assets.registered()) ids.set(toHex(id), id);
  for (const id of await ledger.listed('assets', wallet.publicKey)) ids.set(toHex(id), id);
  return ledger.read(({ asset }) => [...ids.values()].flatMap((id) => asset(id) ?? []));
}

function total(amounts: readonly bigint[]): bigint {
  return amounts.reduce((sum, amount) => sum + amount, 0n);
}

function collectedOf(asset: Asset): bigint {
  return total(asset.forwarded) + total(asset.paid);
}

async function earnings(running: Running): ReturnType<AdminHandlers['earnings']> {
  const { wallet, payee } = running;
  let unclaimed = 0n;
  let lost = 0n;
  for await (const found of unpaid(payee, wallet.channels)) {
    if ('lost' in found) lost += found.lost;
    else unclaimed += found.amount;
  }
  const rows = (await ownAssets(running)).map((asset): EarningRow => {
    const [first] = asset.owners;
    return {
      asset: toHex(asset.id),
      name: asset.name,
      kind: asset.kind,
      owner: first === undefined ? '' : didOf(first.owner),
      mine: asset.owners.some(({ owner }) => equalBytes(owner, wallet.publicKey)),
      received: String(asset.received),
      collected: String(collectedOf(asset)),
    };
  });
  return {
    balance: String(wallet.balance()),
    unclaimed: String(unclaimed),
    lost: String(lost),
    assets: rows,
  };
}

async function readEvidence(path: string): Promise<Bundle> {
  return readBundle(new Uint8Array(await readFile(path)));
}

async function receipts(running: Running, limit: number): Promise<readonly ReceiptRow[]> {
  const rows: ReceiptRow[] = [];
  for (const path of await newestReceipts(running.home.receipts, limit)) {
    const evidence = await readEvidence(path);
    const receipt = receiptSchema.decode(evidence.ending.receipt.payload);
    rows.push({
      callId: toHex(receipt.callId),
      atMs: receipt.finishedAtMs,
      agent: didOf(receipt.agent),
      agentName: card.decode(evidence.card.payload).name,
      question: callRequest.decode(evidence.opening.request).question,
      amount: String(receipt.amount),
      finish: receipt.finish,
      settled: evidence.settlement !== undefined || (await running.settlements.has(receipt)),
    });
  }
  return rows;
}

/**
 * A settled bundle with the keys that its signatures are proved by: those of the time of the call and, when somebody
 * rotated between call and claim, those of now too, or those that were kept with a claim. `undefined` when they do not
 * prove all of it.
 */
async function provable(running: SettledBundleParts, settled: Bundle): Promise<Uint8Array | undefined> {
  const whole = bundle.encode(settled);
  // A node believes its own chain, also where a proof has no room for the way from the beginning (ENG-71).
  const through = settled.settlement && checkpointOf(nativeSuite, settled.settlement.header);
  if (verifyBundle(nativeSuite, whole, { through }).ok) return whole;
  const { channel } = receiptSchema.decode(settled.ending.receipt.payload);
  const now = (await proveKeys(running, partiesOf(settled), channel)) ?? [];
  const kept = channel === undefined ? [] : await running.disputes.claimKeys.of(channel);
  // Keys that were kept when a claim was seen come between those of the call and those of now.
  for (const more of [now, ...kept.map((one) => [one])]) {
    const keys = inOrder([...(settled.keys ?? []), ...more]);
    const renewed = bundle.encode({ ...settled, keys });
    if (verifyBundle(nativeSuite, renewed, { through }).ok) return renewed;
  }
  return undefined;
}

/** What the evidence of a call is completed with. */
export type SettledBundleParts = Pick<Running, 'home' | 'payer' | 'settlements' | 'disputes'> &
  Parameters<typeof proveKeys>[0];

/** The bundle of a call, with the proof of its settlement once the ledger has it; the saved file is brought up too. */
export async function settledBundle(
  running: SettledBundleParts,
  prefix: string,
): ReturnType<AdminHandlers['receipts.bundle']> {
  const { home, payer, settlements } = running;
  const path = await findReceipt(home.receipts, prefix);
  if (path === undefined) throw new SaharaError('receipt-unknown', { receipt: prefix });
  const evidence = await readEvidence(path);
  const receipt = receiptSchema.decode(evidence.ending.receipt.payload);
  const callId = toHex(receipt.callId);
  const reply = (file: Uint8Array): { callId: string; bundle: string } => ({
    callId,
    bundle: Buffer.from(file).toString('base64'),
  });
  if (evidence.settlement !== undefined || receipt.channel === undefined)
    return reply(bundle.encode(evidence));
  const { leaves } = await payer.evidence(receipt.channel, receipt.lane);
  const settlement = await settlements.of(receipt, leaves);
  if (settlement === undefined) return reply(bundle.encode(evidence));
  const whole = await provable(running, { ...evidence, settlement });
  if (whole === undefined) return reply(bundle.encode(evidence));
  // What proves the settlement to those alone who know a later block does not replace what proves the call to everybody.
  const forAll = checkpointOf(nativeSuite, settlement.header) === undefined;
  if (forAll) await saveReceipt(home.receipts, callId, whole);
  return reply(whole);
}
