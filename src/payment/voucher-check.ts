import { equalBytes } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { SaharaError } from '../base/errors.ts';
import type { PublicKey } from '../protocol/ids.ts';
import { type Voucher, voucher as voucherSchema } from '../protocol/payment.ts';
import type { Signed } from '../protocol/signing.ts';
import type { ChannelWait } from './channel-wait.ts';
import type { ChannelInfo, ChannelView } from './ports.ts';

/** What a voucher is checked with. */
export interface VoucherCheckParts {
  readonly network: string;
  readonly channels: ChannelView;
  readonly clock: Clock;
  /** Whose channels these are. */
  readonly operator: { readonly publicKey: PublicKey };
  /** The lane that is served. Default 0. */
  readonly lane?: number;
  /** Where a channel that is not there is looked for again. Default: it is not. */
  readonly wait?: ChannelWait;
}

/**
 * Everything about a voucher that needs neither its signature nor what is already held: shape, network, lane,
 * channel, parties, the channel's state and the voucher's own end. The first fault in that order is thrown:
 * `voucher-invalid`, `voucher-stale` for a lane that is not served, `channel-unknown`, `channel-closing` or
 * `voucher-stale`. For a call that was taken before, the last two are no faults.
 */
export async function checkVoucher(
  parts: VoucherCheckParts,
  offered: {
    readonly payer: PublicKey;
    readonly voucher: Signed;
    readonly taken?: boolean;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<{ readonly terms: Voucher; readonly channel: ChannelInfo }> {
  const terms = decoded(offered.voucher);
  if (terms.network !== parts.network) throw invalid('another network');
  if (terms.lane !== (parts.lane ?? 0)) {
    throw new SaharaError('voucher-stale', { reason: 'another lane is served', lane: terms.lane });
  }
  const found = parts.channels.channel(terms.channel);
  const known = found instanceof Promise ? await found : found;
  const channel = known ?? (await lateChannel(parts, terms, offered));
  if (channel === undefined) throw new SaharaError('channel-unknown');
  if (!equalBytes(channel.payee, parts.operator.publicKey)) throw invalid('another payee');
  if (!equalBytes(channel.payer, offered.payer)) throw invalid('another payer');
  if (channel.state === 'closing' && !offered.taken) throw new SaharaError('channel-closing');
  if (!offered.taken && terms.notAfterMs !== undefined && terms.notAfterMs < parts.clock.nowMs()) {
    throw new SaharaError('voucher-stale', { reason: 'past its end', notAfterMs: terms.notAfterMs });
  }
  if (terms.ceiling > channel.deposit) {
    const facts = { ceiling: String(terms.ceiling), deposit: String(channel.deposit) };
    throw new SaharaError('voucher-invalid', { reason: 'over the deposit', ...facts });
  }
  return { terms, channel };
}

/** A channel that the ledger did not have, if it comes in time (PAY-79). */
async function lateChannel(
  { wait }: VoucherCheckParts,
  { channel }: Voucher,
  offered: { readonly payer: PublicKey; readonly taken?: boolean; readonly signal?: AbortSignal | undefined },
): Promise<ChannelInfo | undefined> {
  return offered.taken ? undefined : wait?.find({ channel, payer: offered.payer }, offered.signal);
}

function decoded(offered: Signed): Voucher {
  try {
    return voucherSchema.decode(offered.payload);
  } catch (cause) {
    throw new SaharaError('voucher-invalid', { reason: 'malformed' }, { cause });
  }
}

function invalid(reason: string): SaharaError {
  return new SaharaError('voucher-invalid', { reason });
}
