/** What a light ledger finds wrong with a transaction before it hands it to anybody. */
import type { SaharaError } from '../../base/errors.ts';
import type { Genesis } from '../../protocol/block.ts';
import type { PublicKey } from '../../protocol/ids.ts';
import { checkSigned } from '../../protocol/signing.ts';
import type { Suite } from '../../protocol/suite.ts';
import { refusal } from '../engines/core.ts';
import { MEMPOOL_PER_SENDER_MAX } from '../limits.ts';
import type { Prepared } from '../prepare.ts';
import { readsFrom } from '../queries.ts';
import { RESULT_CODES, type ResultName } from '../result-codes.ts';
import type { LightClient } from './client.ts';

/**
 * Whether the number of a transaction was used already, so that a block may have it. Throws `tx-invalid` and `tx-refused`
 * as a node does, and `state-unproven` when nobody proves the sender's account.
 */
export async function admit(
  parts: { readonly suite: Suite; readonly client: LightClient; readonly genesis: Genesis },
  { signed, content }: Prepared,
  waiting: { readonly signal: AbortSignal },
): Promise<'used' | 'new'> {
  const { suite, client, genesis } = parts;
  if (content.fault !== undefined) throw refused('tx-invalid', content.fault);
  const { sender, nonce, feeMax, action } = content.transaction;
  const { value } = await client.read((read) => {
    const reads = readsFrom(read);
    return { account: reads.account(sender), key: reads.identity(sender)?.key ?? sender };
  }, waiting);
  // A key that a rotation brings signs for it itself.
  const named = 'key' in action && action.key instanceof Uint8Array ? action.key : value.key;
  const holds = (key: PublicKey): boolean =>
    checkSigned(suite, client.network, 'transaction', key, signed) === undefined;
  if (!holds(value.key) && !holds(named)) throw refused('tx-invalid', 'signature-invalid');
  const { balance, nonce: next } = value.account;
  const { transactionFee } = genesis.parameters;
  if (nonce < next) return 'used';
  if (nonce >= next + MEMPOOL_PER_SENDER_MAX) throw refused('tx-refused', 'nonce-ahead');
  if (feeMax < transactionFee) throw refused('tx-refused', 'fee-too-low');
  if (nonce === next && balance < transactionFee) throw refused('tx-refused', 'fee-unpaid');
  return 'new';
}

function refused(kind: 'tx-invalid' | 'tx-refused', name: ResultName): SaharaError {
  return refusal(kind, RESULT_CODES[name].code);
}
