/** The operator's wallet and ledger, as bridges reach them: deposits in, withdrawals out, and grants of people's own DIDs. */
import { equalBytes, fromUtf8, toHex, utf8 } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import type { Store } from '../base/store.ts';
import { GRANT_TYPE, readGrant } from '../bridges/core/grant.ts';
import type { Deposit, MoneyPort } from '../bridges/core/ports.ts';
import { type ExplorerPlace, explore } from '../ledger/explorer.ts';
import { didOf } from '../protocol/ids.ts';
import { nativeSuite } from '../protocol/suite-native.ts';
import type { Config } from './config-schema.ts';
import type { Core } from './core.ts';
import { keyOf } from './handlers/ledger.ts';
import type { Paying } from './paying.ts';

/** What the money of bridges works with. */
export interface BridgeMoneyParts
  extends Pick<Core, 'ledger' | 'homeLedger' | 'wallet' | 'verifier' | 'network' | 'log'> {
  readonly paying: Paying;
  /** Which books a deposit is in; this part has it for itself. */
  readonly claims: Store;
  readonly config: Pick<Config, 'ledger'>;
}

const NEVER = new AbortController().signal;
/** Transactions that one look at the ledger reads. */
const LOOKED_AT_ONCE = 256;

/** The money of bridges. */
export function createBridgeMoney(parts: BridgeMoneyParts): MoneyPort {
  const { ledger, homeLedger, wallet, verifier, network, paying } = parts;
  const mayKeepWhole = parts.config.ledger.mode !== 'light';
  let claiming: Promise<unknown> = Promise.resolve();
  return {
    whoami: async () => ({ did: didOf(wallet.publicKey), network, fee: feeOf(ledger) }),
    async deposits(height, { signal = NEVER } = {}) {
      // Who pays in is seen only by who has the blocks.
      if (ledger.mode === 'light' && mayKeepWhole) await homeLedger.keepWhole({ signal });
      if (ledger.mode === 'light') throw new SaharaError('ledger-light', { what: 'Seeing deposits' });
      const head = ledger.head().height;
      if (height !== undefined && height < ledger.base && head > height) {
        const facts = { from: height + 1, to: ledger.base };
        parts.log.warn('blocks are not here: what was paid in by them is not seen', facts);
      }
      const deposits = height === undefined ? [] : await depositsAbove(parts, height, head);
      return { deposits, height: head };
    },
    claim(deposit, book) {
      const claimed = claiming.then(() => claimFor(parts.claims, deposit, book));
      claiming = claimed.catch(() => {});
      return claimed;
    },
    async pay({ reference, to, amount, memo }) {
      const key = keyOf(to);
      if (equalBytes(key, wallet.publicKey))
        throw new SaharaError('usage', { reason: 'that is this bridge itself' });
      const order = { reference, to: key, amount, memo };
      const needed = amount + feeOf(ledger);
      if (wallet.balance() < needed && (await paying.made(reference)) === undefined) {
        throw new SaharaError('funds-insufficient', { needed: `${needed}`, balance: `${wallet.balance()}` });
      }
      return (await paying.pay(order)).height;
    },
    async grant(text) {
      const { message, grant } = readGrant(text);
      if (grant.network !== network) throw new SaharaError('network-mismatch', { found: grant.network });
      if (!equalBytes(grant.bridge, wallet.publicKey)) throw new SaharaError('wrong-recipient');
      const fault = await verifier.check(network, GRANT_TYPE, grant.did, message);
      if (fault) throw new SaharaError(fault, { what: 'grant' });
      return grant;
    },
  };
}

async function claimFor(claims: Store, deposit: string, book: string): Promise<boolean> {
  const known = await claims.get(utf8(deposit));
  if (known !== undefined) return fromUtf8(known) === book;
  await claims.batch([{ type: 'put', key: utf8(deposit), value: utf8(book) }], { sync: true });
  return true;
}

function feeOf(ledger: BridgeMoneyParts['ledger']): bigint {
  return ledger.genesis.parameters.transactionFee;
}

/** Transfers to this operator in the blocks above `height` up to `head`, the oldest first. */
async function depositsAbove(
  { ledger, wallet }: BridgeMoneyParts,
  height: number,
  head: number,
): Promise<readonly Deposit[]> {
  const found: Deposit[] = [];
  let before: ExplorerPlace | undefined = { height: head, index: Number.MAX_SAFE_INTEGER };
  while (before !== undefined && before.height > height) {
    const page: Awaited<ReturnType<typeof explore>> = await explore(nativeSuite, ledger, {
      kind: 'transfer',
      effective: true,
      before,
      limit: LOOKED_AT_ONCE,
    });
    for (const { id, action, sender, height: at } of page.found) {
      if (at <= height || action?.type !== 'transfer' || sender === undefined) continue;
      if (!equalBytes(action.to, wallet.publicKey) || equalBytes(sender, wallet.publicKey)) continue;
      found.push({ id: toHex(id), from: didOf(sender), amount: action.amount, memo: action.memo ?? '' });
    }
    before = page.next;
  }
  return found.reverse();
}
