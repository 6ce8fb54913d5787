/**
 * Calls paid by one transaction, from this operator's account: each call once, however often it is asked again. The
 * payment's reference is made from the call's id.
 */

import type { OncePayer } from '../agent/ports.ts';
import { utf8 } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import { prefixed } from '../base/store.ts';
import { paymentReference } from '../protocol/once.ts';
import { createPaying, type PayingParts } from './paying.ts';
import type { Wallet } from './wallet.ts';

/** What paying for calls works with. */
export interface CallPayerParts extends Omit<PayingParts, 'ledger' | 'wallet'> {
  readonly ledger: PayingParts['ledger'] & {
    readonly genesis: { readonly parameters: { readonly transactionFee: bigint } };
  };
  readonly wallet: Pick<Wallet, 'send' | 'balance' | 'funded'>;
}

/** Pays calls from the account of `parts.wallet`. */
export function createCallPayer(parts: CallPayerParts): OncePayer {
  const { ledger, wallet, suite } = parts;
  const paying = createPaying({ ...parts, store: prefixed(parts.store, utf8('calls/')) });
  return {
    async pay({ callId, card }, options) {
      const reference = paymentReference(suite, callId);
      const { operator: to, asset, price } = card;
      const needed = price.perCall + ledger.genesis.parameters.transactionFee;
      const known = await paying.made(reference, options);
      if (known !== undefined) return known;
      await wallet.funded;
      const balance = wallet.balance();
      if (balance < needed) {
        throw new SaharaError('funds-insufficient', { needed: String(needed), balance: String(balance) });
      }
      return await paying.prove({ reference, to, amount: price.perCall, memo: undefined, asset }, options);
    },
    made: (callId, options) => paying.made(paymentReference(suite, callId), options),
  };
}
