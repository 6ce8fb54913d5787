/**
 * Who signs the vouchers of a channel: its payer, or the key that the ledger has for the channel's vouchers. What a key
 * signed that was replaced or revoked can be claimed for a while, but covers nothing more.
 */
import { equalBytes } from '../base/bytes.ts';
import type { Hash, PublicKey } from '../protocol/ids.ts';
import type { SignatureFault, Signed, TickSigner, Verifier } from '../protocol/signing.ts';
import type { PayeeLanes } from './payee-lanes.ts';
import type { ChannelInfo, ChannelView } from './ports.ts';

/** Who signed a voucher: a key of its payer, or one of the channel's own. */
export type VoucherSigner = 'payer' | PublicKey;

/** The keys of a payer that sign the vouchers of single channels. */
export interface VoucherKeyring {
  /** What signs the vouchers of `channel` while the ledger has `key` for them; `undefined`: the payer's own key does. */
  signerOf(channel: Hash, key: PublicKey): TickSigner | undefined;
  /** The keys that this payer ever had for them, as far as it knows. */
  keysOf(channel: Hash): readonly PublicKey[];
  /** The payee refused a voucher: for a while the payer's own key signs, which counts in any case. */
  refused(channel: Hash): void;
}

/** What signatures of vouchers are checked with. */
interface SignerParts {
  readonly network: string;
  readonly verifier: Verifier;
  readonly channels: ChannelView;
}

/** The key that the ledger has for a channel's vouchers now. */
export function presentKey({
  voucherKeys = [],
}: {
  readonly voucherKeys?: readonly { readonly key: PublicKey; readonly until?: number | undefined }[];
}): PublicKey | undefined {
  return voucherKeys.find(({ until }) => until === undefined)?.key;
}

/** Whether what `signer` signs covers calls: the payer's key does, and the channel's present one. */
export function covers(channel: ChannelInfo, signer: VoucherSigner): boolean {
  if (signer === 'payer') return true;
  const present = presentKey(channel);
  return present !== undefined && equalBytes(present, signer);
}

/** Who signed the voucher `message` of `channel`: one of its keys that count, one of `known`, or its payer. */
export async function voucherSigner(
  { network, verifier }: Pick<SignerParts, 'network' | 'verifier'>,
  { voucherKeys = [], payer }: Pick<ChannelInfo, 'voucherKeys' | 'payer'>,
  message: Signed,
  known: readonly PublicKey[] = [],
): Promise<{ readonly signer: VoucherSigner } | { readonly fault: SignatureFault }> {
  // A voucher key is itself, whoever has the same one for a DID.
  const plain = verifier.plain ?? verifier;
  for (const key of [...voucherKeys.map((one) => one.key), ...known]) {
    const fault = await plain.check(network, 'voucher', key, message);
    if (fault === undefined) return { signer: key };
    if (fault === 'signature-missing') return { fault };
  }
  const fault = await verifier.check(network, 'voucher', payer, message);
  return fault === undefined ? { signer: 'payer' } : { fault };
}

/**
 * The same at its payee. A payer hears of the block with its new key as early as its payee does: what nobody signed is
 * looked at again after the next block.
 */
export async function voucherSignerLate(
  parts: SignerParts,
  channel: ChannelInfo,
  message: Signed,
): Promise<{ readonly signer: VoucherSigner } | { readonly fault: SignatureFault }> {
  const found = await voucherSigner(parts, channel, message);
  const { trust } = parts.verifier;
  if ('signer' in found || found.fault !== 'signature-invalid' || trust === undefined) return found;
  if (!(await trust.later(channel.payer))) return found;
  const later = await parts.channels.channel(channel.id);
  const changed = later !== undefined && !sameKeys(later, channel);
  return changed ? voucherSigner(parts, later, message) : found;
}

function sameKeys({ voucherKeys: a = [] }: ChannelInfo, { voucherKeys: b = [] }: ChannelInfo): boolean {
  return a.length === b.length && a.every(({ key }, i) => equalBytes(key, b[i]?.key ?? new Uint8Array(0)));
}

/** Whether the highest voucher of a lane of `id` is by a key whose time ends: what calls cost on it is claimed before. */
export async function hasFadingVoucher(
  parts: SignerParts & { readonly lanes: Pick<PayeeLanes, 'ofChannel'> },
  id: Hash,
): Promise<boolean> {
  const channel = await parts.channels.channel(id);
  if (channel?.voucherKeys === undefined || channel.voucherKeys.length === 0) return false;
  for (const { voucher } of await parts.lanes.ofChannel(id)) {
    if (voucher === undefined) continue;
    const found =
      voucher.signer === undefined
        ? await voucherSigner(parts, channel, voucher.signed)
        : { signer: voucher.signer };
    if ('signer' in found && !covers(channel, found.signer)) return true;
  }
  return false;
}
