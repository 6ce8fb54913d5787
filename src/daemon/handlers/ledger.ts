/** `ledger.*`: what the ledger says, in the admin API's words. */
import { formatAmount } from '../../base/amount.ts';
import { toHex } from '../../base/bytes.ts';
import { SaharaError } from '../../base/errors.ts';
import type { TransactionSummary } from '../../ledger/ledger.ts';
import { didOf, type PublicKey, publicKeyOf, shortHex } from '../../protocol/ids.ts';
import { charge } from '../../protocol/payment.ts';
import type { Action } from '../../protocol/transaction.ts';
import type { AdminHandlers } from '../admin/methods.ts';
import type { LedgerReport, TransactionRow } from '../admin/types.ts';
import type { Core } from '../core.ts';
import { stakeSummary } from './stake-words.ts';

type LedgerMethods =
  | 'ledger.status'
  | 'ledger.accounts'
  | 'ledger.transactions'
  | 'ledger.verify'
  | 'ledger.prune';

/** The ledger as this peer knows it. */
export function ledgerReport({ ledger, homeLedger }: Pick<Core, 'ledger' | 'homeLedger'>): LedgerReport {
  const head = ledger.head();
  const light = homeLedger.report();
  const validators = homeLedger.validators?.();
  return {
    network: ledger.network,
    role: ledger.mode,
    sequencer: didOf(ledger.genesis.sequencer),
    height: head.height,
    headHash: toHex(head.headerHash),
    stateRoot: toHex(head.stateRoot),
    blockTimeMs: head.height === 0 ? 0 : head.timeMs,
    faucet: ledger.genesis.faucet !== undefined,
    supply: String(ledger.supply().total),
    ...(head.halted !== undefined && { halted: head.halted }),
    ...(light && { light }),
    ...(validators !== undefined && { validators }),
  };
}

/** The key that a DID names. Throws `usage`. */
export function keyOf(did: string): PublicKey {
  const key = publicKeyOf(did);
  if (key === undefined)
    throw new SaharaError('usage', { reason: `"${did}" is not a DID such as did:key:z6Mk...` });
  return key;
}

/** What the ledger says. */
export function ledgerHandlers(core: Core): Pick<AdminHandlers, LedgerMethods> {
  const { ledger, wallet } = core;
  return {
    'ledger.status': async () => ledgerReport(core),
    'ledger.accounts': async ({ did }, signal) => {
      const key = did === undefined ? wallet.publicKey : keyOf(did);
      const { balance, nonce } = await ledger.read(({ account }) => account(key), { signal });
      return [{ did: didOf(key), balance: String(balance), nonce }];
    },
    'ledger.transactions': async ({ limit }) => {
      const wanted = Math.min(limit ?? TRANSACTIONS_DEFAULT, TRANSACTIONS_MAX);
      return (await ledger.transactions({ limit: wanted })).map(rowOf);
    },
    'ledger.prune': async ({ keep }, signal) => {
      const removed = await ledger.prune(keep, { signal });
      return { network: ledger.network, height: ledger.head().height, base: ledger.base, removed };
    },
    'ledger.verify': async (_input, signal) => {
      const { height, transactions, supply, faults, unchecked } = await ledger.verify({ signal });
      const [fault] = faults;
      const verdict = { height, transactions, supply: String(supply), unchecked };
      return fault === undefined ? { sound: true, ...verdict } : { sound: false, ...verdict, fault };
    },
  };
}

const TRANSACTIONS_DEFAULT = 20;
const TRANSACTIONS_MAX = 256;

/** A transaction as one line. */
export function rowOf(summary: TransactionSummary): TransactionRow {
  const { id, height, sender, action, result } = summary;
  return {
    id: toHex(id),
    height,
    sender: sender === undefined ? '' : didOf(sender),
    type: action?.type ?? 'unreadable',
    summary: action === undefined ? '' : `${summaryOf(action)}${movedBy(action, result.moved)}`,
    code: result.code,
  };
}

const MOVING: ReadonlySet<Action['type']> = new Set([
  'claim',
  'collect',
  'collect-path',
  'close-by-payee',
  'buy-licence',
  'release-bond',
  'report-double-signing',
  'collect-reward',
  'claim-batch',
  'challenge',
  'withdraw',
]);

function movedBy({ type }: Action, moved: bigint): string {
  return MOVING.has(type) ? `: ${formatAmount(moved)}` : '';
}

function summaryOf(action: Action): string {
  switch (action.type) {
    case 'transfer':
      return `${formatAmount(action.amount)} to ${didOf(action.to)}`;
    case 'faucet':
      return `${formatAmount(action.amount)} to ${didOf(action.to)}`;
    case 'register-asset':
      return `${action.kind} ${action.name}`;
    case 'open-channel':
      return `${formatAmount(action.deposit)} for ${didOf(action.payee)}`;
    case 'top-up':
      return `${formatAmount(action.amount)} into channel ${shortHex(action.channel)}`;
    case 'claim':
      return `channel ${shortHex(action.channel)} pays ${action.attribution.length} assets for ${callsOf(action.charge.payload)} calls`;
    case 'claim-batch':
      return `${action.claims.length} claims for ${callsIn(action)} calls`;
    case 'request-withdraw':
      return `${formatAmount(action.amount)} out of channel ${shortHex(action.channel)}`;
    case 'set-voucher-key':
      return `channel ${shortHex(action.channel)} to ${action.key === undefined ? 'nobody' : didOf(action.key)}`;
    case 'challenge':
      return `channel ${shortHex(action.channel)} by ${action.evidence.type}`;
    case 'pay':
      return `${formatAmount(action.amount)} to ${didOf(action.payee)} for call ${shortHex(action.reference)}`;
    case 'close-by-payee':
    case 'request-close':
    case 'cancel-close':
    case 'withdraw':
    case 'cancel-withdraw':
      return `channel ${shortHex(action.channel)}`;
    case 'collect':
    case 'buy-licence':
      return `asset ${shortHex(action.asset)}`;
    case 'collect-path':
      return `${action.assets.length} assets, from ${action.assets[0] === undefined ? 'none' : shortHex(action.assets[0])} up`;
    case 'register-identity':
      return `keys, with ${action.policy.guardians.length} guardians`;
    case 'rotate-key':
      return `to key ${shortHex(action.key)}${action.policy === undefined ? '' : `, with ${action.policy.guardians.length} guardians`}`;
    case 'recover-identity':
      return `votes for key ${shortHex(action.key)} of ${didOf(action.did)}`;
    case 'cancel-recovery':
      return 'rejects what guardians want';
    case 'finish-recovery':
      return `${didOf(action.did)} to key ${shortHex(action.key)}`;
    case 'revoke-certificate':
      return `serial ${toHex(action.serial)}`;
    case 'bond':
    case 'unbond':
    case 'delegate':
    case 'undelegate':
    case 'release-bond':
    case 'report-double-signing':
    case 'collect-reward':
      return stakeSummary(action);
    case 'approve-upgrade':
      return `rules of version ${action.version} from block ${action.height} on`;
    case 'approve-derivative':
    case 'withdraw-approval':
      return `asset ${shortHex(action.asset)} for ${didOf(action.licensee)}`;
  }
}

function callsIn({ claims }: Extract<Action, { type: 'claim-batch' }>): number {
  return claims.reduce((sum, { charge: { payload } }) => sum + callsOf(payload), 0);
}

function callsOf(payload: Uint8Array): number {
  try {
    return charge.decode(payload).sequence;
  } catch {
    // The ledger refused it for this very reason; a list must still be shown.
    return 0;
  }
}
