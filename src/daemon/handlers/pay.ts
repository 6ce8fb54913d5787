/** `pay`: money to somebody, once for each reference. */
import { equalBytes, fromHex, toHex } from '../../base/bytes.ts';
import { invariant, SaharaError } from '../../base/errors.ts';
import { didOf, type PublicKey } from '../../protocol/ids.ts';
import type { AdminHandlers } from '../admin/methods.ts';
import type { Running } from '../compose.ts';
import type { Paying } from '../paying.ts';
import { keyOf } from './ledger.ts';

/** Bytes of a transfer's memo. */
const MEMO_BYTES_MAX = 128;

/** Payments of this operator. */
export function payHandlers(
  running: Pick<Running, 'ledger' | 'wallet'> & { readonly paying: Paying },
): Pick<AdminHandlers, 'pay'> {
  const { ledger, wallet, paying } = running;
  return {
    async pay({ to, amount, reference, memo, unseen = false }, signal) {
      const key = keyOf(to);
      const name = fromHex(reference);
      invariant(name, 'the table lets only hexadecimal digits through');
      const grains = BigInt(amount);
      if (equalBytes(key, wallet.publicKey)) throw usage('that DID is your own');
      if (grains === 0n) throw usage('there is nothing to pay');
      const sizeBytes = Buffer.byteLength(memo ?? '');
      if (sizeBytes > MEMO_BYTES_MAX)
        throw new SaharaError('too-large', { what: 'memo', sizeBytes, limitBytes: MEMO_BYTES_MAX });
      if (!unseen && !(await isKnown(running, key, signal))) {
        throw usage(`the ledger has never seen ${to}; if it is spelled right, say --new`);
      }
      const order = { reference: name, to: key, amount: grains, memo };
      const payment = await paying.pay(order, { signal });
      return {
        to: didOf(key),
        amount,
        reference,
        fee: String(ledger.genesis.parameters.transactionFee),
        transaction: toHex(payment.transaction),
        height: payment.height,
        timeMs: payment.timeMs,
        index: payment.index,
        count: payment.count,
        before: payment.before,
        balance: String(wallet.balance()),
      };
    },
  };
}

/** Whether an account had money or sent something, or keys were registered for it. */
async function isKnown(
  { ledger }: Pick<Running, 'ledger'>,
  key: PublicKey,
  signal: AbortSignal,
): Promise<boolean> {
  const read = ({ account, identity }: Pick<Running['ledger'], 'account' | 'identity'>): boolean => {
    const { balance, nonce } = account(key);
    return balance > 0n || nonce > 0 || identity(key) !== undefined;
  };
  return ledger.read(read, { signal });
}

function usage(reason: string): SaharaError {
  return new SaharaError('usage', { reason });
}
