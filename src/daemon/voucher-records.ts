/** Which keys this payer had made for the vouchers of its channels, on disk: one record for each channel. */
import type { Store } from '../base/store.ts';
import type { Hash, PublicKey } from '../protocol/ids.ts';
import { type KeyEvidence, keyEvidence } from '../protocol/key-evidence.ts';
import { bool, bytes, list, optional, record, type Schema } from '../protocol/schema.ts';

/** Keys of one channel that are remembered, the last ones: the payee may show a voucher by any of them. */
export const KEYS_REMEMBERED_MAX = 32;

/** A key that was made for a channel's vouchers. */
export interface MadeKey {
  readonly key: PublicKey;
  /** It signs nothing more. */
  readonly revoked: boolean;
}

/** What is kept of a channel. */
export interface VoucherRecord {
  /** In the order in which they were made. */
  readonly keys: readonly MadeKey[];
  /** The channel as the ledger had it when the last of them began to count. */
  readonly proof: KeyEvidence | undefined;
}

const voucherRecord: Schema<VoucherRecord> = record('voucher-keys', {
  keys: list(record('made-key', { key: bytes(32), revoked: bool }), KEYS_REMEMBERED_MAX),
  proof: optional(keyEvidence),
});

/** Reads all of them. */
export async function readVoucherRecords(
  store: Store,
): Promise<readonly (readonly [channel: Hash, kept: VoucherRecord])[]> {
  const found: (readonly [Hash, VoucherRecord])[] = [];
  for await (const [channel, value] of store.entries()) {
    found.push([channel.slice(), voucherRecord.decode(value.slice())]);
  }
  return found;
}

/** Keeps what is known of a channel; on disk when this resolves. */
export async function keepVoucherRecord(store: Store, channel: Hash, kept: VoucherRecord): Promise<void> {
  const value = voucherRecord.encode({ ...kept, keys: kept.keys.slice(-KEYS_REMEMBERED_MAX) });
  await store.batch([{ type: 'put', key: channel, value }], { sync: true });
}

/** Forgets a channel. */
export function dropVoucherRecord(store: Store, channel: Hash): Promise<void> {
  return store.batch([{ type: 'del', key: channel }]);
}
