/** Who signed a voucher: its payer, or a key that the ledger had for the channel's vouchers. */
import type { ChannelParties, KeyedSuite } from './key-evidence.ts';
import { checkSigned, type SignatureFault, type Signed } from './signing.ts';

/** Why a voucher counts for nobody: its signature, or that of a key of the channel whose time was over. */
export type VoucherFault = SignatureFault | 'key-over';

/** Checks that a key of the payer, or a voucher key that counts, signed the voucher `message` of `channel`. */
export function checkVoucherSigned(
  suite: KeyedSuite,
  network: string,
  channel: ChannelParties,
  message: Signed,
): VoucherFault | undefined {
  const fault = checkSigned(suite, network, 'voucher', channel.payer, message);
  if (fault !== 'signature-invalid') return fault;
  const signedBy = (key: Uint8Array): boolean =>
    checkSigned(suite.plain, network, 'voucher', key, message) === undefined;
  if (suite.known.voucherKeysOf(channel).some(signedBy)) return undefined;
  return suite.known.formerVoucherKeysOf(channel).some(signedBy) ? 'key-over' : fault;
}
