/** What stands in the ledger, for people who look: blocks, transactions, accounts, channels, and audit files. */
import { formatAmount } from '../../base/amount.ts';
import { fromHex, toHex } from '../../base/bytes.ts';
import { asSaharaError, SaharaError } from '../../base/errors.ts';
import { type ExplorerPlace, explore, transactionsOf } from '../../ledger/explorer.ts';
import type { LedgerReads, TransactionSummary } from '../../ledger/ledger.ts';
import { twoHeaders } from '../../protocol/actions-stake.ts';
import { audit as auditFile } from '../../protocol/audit.ts';
import { block, blockHeader } from '../../protocol/block.ts';
import { checkpointOf, twoCertified } from '../../protocol/certified-header.ts';
import { didOf, publicKeyOf } from '../../protocol/ids.ts';
import { signed } from '../../protocol/signing.ts';
import { nativeSuite } from '../../protocol/suite-native.ts';
import { transaction } from '../../protocol/transaction.ts';
import { verifyAudit } from '../../protocol/verify-audit.ts';
import type { AdminHandlers } from '../admin/methods.ts';
import type {
  AccountReport,
  ChannelReport,
  ExplorerMethods,
  SearchHit,
  TransactionReport,
} from '../admin/methods-explorer.ts';
import { auditAsset, auditDid, auditReceipt } from '../audits.ts';
import type { Running } from '../compose.ts';
import { findReceipt } from '../receipts.ts';
import { recomputeHere } from '../recompute.ts';
import { keyOf, rowOf } from './ledger.ts';
import { findAsset } from './lineage.ts';
import { moneyHandlers } from './money.ts';

const LISTED_DEFAULT = 20;
/** Transactions of one block that are shown. */
const BLOCK_LISTED_MAX = 256;
const HITS_MAX = 20;

/** What stands in the ledger. */
export function explorerHandlers(running: Running): Pick<AdminHandlers, keyof ExplorerMethods> {
  const { ledger } = running;
  return {
    async 'ledger.explore'({ sender, kind, asset, channel, before, limit }) {
      demandBlocks(running);
      const page = await explore(nativeSuite, ledger, {
        ...(sender !== undefined && { sender: keyOf(sender) }),
        ...(kind !== undefined && { kind }),
        ...(asset !== undefined && { asset: idOf(asset) }),
        ...(channel !== undefined && { channel: idOf(channel) }),
        ...(before !== undefined && { before: placeOf(before) }),
        limit: limit ?? LISTED_DEFAULT,
      });
      const { next } = page;
      return { rows: page.found.map(rowOf), ...(next && { next: `${next.height}.${next.index}` }) };
    },
    'ledger.block': ({ height }) => blockReport(running, height),
    'ledger.transaction': ({ id }) => transactionReport(running, id),
    async 'ledger.account'({ did }, signal) {
      const key = keyOf(did);
      const [channels, assets] = await Promise.all([
        ledger.listed('channels', key, { signal }),
        ledger.listed('assets', key, { signal }),
      ]);
      return ledger.read((reads) => accountReport(reads, { did, channels, assets }), { signal });
    },
    'ledger.channel': ({ id }, signal) => channelReport(running, id, signal),
    'ledger.search': ({ text }, signal) => search(running, text, signal),
    async 'ledger.submit'({ transaction: text }, signal) {
      const message = signed.decode(new Uint8Array(Buffer.from(text, 'base64')));
      const { id, height } = await ledger.submit(message, { signal });
      return { id: toHex(id), height };
    },
    async 'ledger.evidence'() {
      const found = running.homeLedger.evidence();
      if (found === undefined) return {};
      // What a sequencer signed twice is a transaction's evidence; votes of consensus are for people to look into.
      const file =
        found.one.consensus === undefined
          ? twoHeaders.encode({ first: found.one, second: found.other })
          : twoCertified.encode(found);
      return { evidence: Buffer.from(file).toString('base64') };
    },
    'receipts.recompute': ({ bundle, manifest }, signal) => {
      const file = new Uint8Array(Buffer.from(bundle, 'base64'));
      return recomputeHere(running, { file, manifest }, { signal });
    },
    async audit({ of }, signal) {
      const file = await auditOf(running, of, signal);
      const through = checkpointOf(nativeSuite, auditFile.decode(file).header);
      const { summary } = verifyAudit(nativeSuite, file, { through });
      return {
        about: summary?.about ?? 'receipt',
        height: summary?.height ?? 0,
        audit: Buffer.from(file).toString('base64'),
      };
    },
  };
}

function demandBlocks({ ledger }: Running): void {
  if (ledger.mode === 'light') throw new SaharaError('ledger-light', { what: 'Looking through blocks' });
}

function idOf(text: string): Uint8Array {
  const id = fromHex(text);
  if (id?.length !== 32) throw new SaharaError('usage', { reason: `"${text}" is no id of 64 digits` });
  return id;
}

function placeOf(text: string): ExplorerPlace {
  const [height = 0, index = 0] = text.split('.').map(Number);
  return { height, index };
}

async function auditOf(running: Running, of: string, signal: AbortSignal): Promise<Uint8Array> {
  const { ledger, home } = running;
  const did = publicKeyOf(of);
  if (did !== undefined) return auditDid(ledger, did, { signal });
  if ((await findReceipt(home.receipts, of)) !== undefined) {
    const { bundle } = await moneyHandlers(running)['receipts.bundle']({ callId: of }, signal);
    return auditReceipt(ledger, new Uint8Array(Buffer.from(bundle, 'base64')), { signal });
  }
  return auditAsset(ledger, (await findAsset(running, of, { signal })).id, { signal });
}

async function blockReport(running: Running, height: number): ReturnType<AdminHandlers['ledger.block']> {
  demandBlocks(running);
  const { ledger } = running;
  const [wire] = await ledger.blocks(height);
  const header = wire && blockHeader.decode(block.decode(wire).header.payload);
  if (wire === undefined || header?.height !== height)
    throw new SaharaError('usage', {
      reason: `There is no block ${height} here: the latest is ${ledger.head().height}`,
      next: 'The blocks here are those that `sahara ledger status` tells of',
    });
  const all = transactionsOf(nativeSuite, ledger, wire);
  return {
    height,
    previous: toHex(header.previous),
    stateRoot: toHex(header.stateRoot),
    proposer: didOf(header.proposer),
    timeMs: header.timeMs,
    count: all.length,
    rows: all.slice(0, BLOCK_LISTED_MAX).map(rowOf),
  };
}

async function transactionReport(running: Running, wanted: string): Promise<TransactionReport> {
  const id = wanted.length === 64 ? idOf(wanted) : await idBeginningWith(running, wanted);
  const proof = id && (await running.ledger.proof(id));
  if (id === undefined || proof === undefined) throw new SaharaError('tx-unknown', { id: wanted });
  const { sender, nonce, action, feeMax } = transaction.decode(proof.transaction.payload);
  const { height, timeMs } = blockHeader.decode(proof.header.payload);
  const { result } = proof;
  const { index } = proof.transactionPath;
  const row = rowOf({ id, height, index, result, sender, nonce, action, timeMs });
  return { ...row, index, nonce, timeMs, moved: String(result.moved), feeMax: String(feeMax) };
}

/** The only transaction among the latest whose id begins like this. */
async function idBeginningWith(running: Running, prefix: string): Promise<Uint8Array | undefined> {
  const found = await someOf(running, ({ id }) => toHex(id).startsWith(prefix));
  return found.length === 1 ? found[0]?.id : undefined;
}

/** Those of the transactions in one look that `fit`. */
async function someOf(
  running: Running,
  fit: (one: TransactionSummary) => boolean,
): Promise<readonly TransactionSummary[]> {
  demandBlocks(running);
  const { found } = await explore(nativeSuite, running.ledger, { limit: SEARCHED_MAX });
  return found.filter(fit).slice(0, HITS_MAX);
}

/** Transactions that one search goes through. */
const SEARCHED_MAX = 20_000;

function accountReport(
  reads: LedgerReads,
  of: {
    readonly did: string;
    readonly channels: readonly Uint8Array[];
    readonly assets: readonly Uint8Array[];
  },
): AccountReport {
  const key = keyOf(of.did);
  const { balance, nonce } = reads.account(key);
  const identity = reads.identity(key);
  return {
    did: of.did,
    balance: String(balance),
    nonce,
    key: toHex(identity?.key ?? key),
    retired: (identity?.retired ?? []).map((one) => ({ ...one, key: toHex(one.key) })),
    guardians: (identity?.guardians ?? []).map(didOf),
    channels: of.channels.map(toHex),
    assets: of.assets.flatMap((id) => {
      const asset = reads.asset(id);
      return asset === undefined ? [] : [{ asset: toHex(id), kind: asset.kind, name: asset.name }];
    }),
    stakes: reads
      .stakeOf(key)
      .map(({ role, own, delegated }) => ({ role, own: String(own), delegated: String(delegated) })),
  };
}

async function channelReport({ ledger }: Running, text: string, signal: AbortSignal): Promise<ChannelReport> {
  const id = idOf(text);
  const report = await ledger.read((reads) => channelIn(reads, id), { signal });
  if (report === undefined) throw new SaharaError('channel-unknown', { channel: text });
  return report;
}

function channelIn(reads: LedgerReads, id: Uint8Array): ChannelReport | undefined {
  const open = reads.channel(id);
  const ended = open === undefined ? reads.endedChannel(id) : undefined;
  const found = open ?? ended;
  if (found === undefined) return undefined;
  const until = open?.closeAt ?? ended?.until;
  const lanes = found.lanes.map(({ lane, paid, frozen }) => ({
    lane,
    paid: String(paid),
    ...(frozen && { frozenAt: String(frozen.total) }),
  }));
  const claimed = found.lanes.reduce((sum, { paid }) => sum + paid, 0n);
  return {
    id: toHex(id),
    payer: didOf(found.payer),
    payee: didOf(found.payee),
    state: open?.state ?? 'ended',
    deposit: String(open?.deposit ?? claimed),
    claimed: String(open?.claimed ?? claimed),
    ...(until !== undefined && { until }),
    ...(open?.withdrawal && { withdrawal: { ...open.withdrawal, amount: String(open.withdrawal.amount) } }),
    lanes,
  };
}

/** Everything that a text may mean: a height, a DID, an id, or part of an asset's name. */
async function search(running: Running, text: string, signal: AbortSignal): Promise<readonly SearchHit[]> {
  const { ledger } = running;
  const hits: SearchHit[] = [];
  const key = publicKeyOf(text);
  if (key !== undefined) {
    const { balance } = await ledger.read((reads) => reads.account(key), { signal });
    hits.push({ kind: 'account', id: text, words: `has ${formatAmount(balance)}` });
  }
  if (/^\d{1,15}$/.test(text) && Number(text) >= 1 && Number(text) <= ledger.head().height)
    hits.push({ kind: 'block', id: text, words: `of ${ledger.head().height}` });
  const id = fromHex(text.toLowerCase());
  if (id?.length === 32) hits.push(...(await byId(running, id, signal)));
  if (ledger.mode === 'light') return hits;
  const wanted = text.toLowerCase();
  const named = await someOf(
    running,
    ({ action, id: one }) =>
      (action?.type === 'register-asset' && action.name.toLowerCase().includes(wanted)) ||
      (wanted.length >= 6 && id === undefined && toHex(one).startsWith(wanted)),
  );
  return [
    ...hits,
    ...named.map((one): SearchHit => ({ kind: 'transaction', id: toHex(one.id), words: wordsOf(one) })),
  ];
}

function wordsOf(one: TransactionSummary): string {
  const { height, type, summary } = rowOf(one);
  return `block ${height}: ${type} ${summary}`;
}

async function byId(running: Running, id: Uint8Array, signal: AbortSignal): Promise<readonly SearchHit[]> {
  const { ledger } = running;
  const text = toHex(id);
  const hits: SearchHit[] = [];
  const asset = await ledger.read((reads) => reads.asset(id), { signal });
  if (asset !== undefined) hits.push({ kind: 'asset', id: text, words: `${asset.kind} ${asset.name}` });
  const channel = await ledger.read((reads) => channelIn(reads, id), { signal });
  if (channel !== undefined)
    hits.push({ kind: 'channel', id: text, words: `${channel.state}, to ${channel.payee}` });
  try {
    const { height, type, summary } = await transactionReport(running, text);
    hits.push({ kind: 'transaction', id: text, words: `block ${height}: ${type} ${summary}` });
  } catch (error) {
    if (asSaharaError(error).code !== 'tx-unknown') throw error;
  }
  return hits;
}
