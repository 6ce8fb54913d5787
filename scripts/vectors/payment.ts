import { toHex } from '../../src/base/bytes.ts';
import {
  type Charge,
  charge,
  type Receipt,
  receipt,
  type Voucher,
  voucher,
} from '../../src/protocol/payment.ts';
import { appendLeaf, EMPTY_TREE, receiptLeaf, treeRoot } from '../../src/protocol/receipt-tree.ts';
import { type Signed, signed } from '../../src/protocol/signing.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { createSigner } from '../../src/protocol/suite-native.ts';
import {
  agent,
  filled,
  NOW_MS,
  network,
  operator,
  payer,
  sampleStory,
  sign,
  stranger,
  suite,
  tell,
} from '../../test/protocol/sample.ts';
import type { Vectors } from './file.ts';

const CHANNEL = filled(0xf0);
const hexOf = (message: Signed): string => toHex(signed.encode(message));

const plain: Voucher = {
  network,
  channel: CHANNEL,
  lane: 0,
  ceiling: 300_000n,
  sequence: 7,
  receiptCount: 0,
  receiptRoot: filled(0),
  receiptTotal: 0n,
  notAfterMs: undefined,
};

const vouched = (change: Partial<Voucher>, signer: Signer = payer, type = 'voucher'): string =>
  hexOf(sign(signer, type, voucher.encode({ ...plain, ...change })));

interface OfferedVoucher {
  readonly name: string;
  readonly hex: string;
  /** How the channel stands; default: open. */
  readonly state?: 'open' | 'closing';
  /** The voucher keys that the ledger has for the channel: the present one without an end. Default: none. */
  readonly voucherKeys?: readonly { readonly key: string; readonly until: number | null }[];
  /** What the payee holds in place of the `held` of all. */
  readonly held?: string;
}

interface RefusedVoucher extends OfferedVoucher {
  readonly code: string;
}

/** Keys that the payer's key named for vouchers of the channel, one after the other. */
const [hot, next] = [createSigner(filled(0x71)), createSigner(filled(0x72))];
const present = (signer: Signer) => ({ key: toHex(signer.publicKey), until: null });
const former = (signer: Signer) => ({ key: toHex(signer.publicKey), until: 120 });

const foreign: Partial<Voucher> = { network: 'other-0123456789abcdef' };

/** Vouchers at a payee that holds one over 200,000 grains with the sequence 5, each with one fault or two. */
export function voucherVectors(): Vectors<OfferedVoucher, RefusedVoucher> {
  return {
    about:
      'Vouchers offered to a payee for a call of at most 100,000 grains (PAY-3 to PAY-6, PAY-71). It holds `held`, nothing is charged or reserved. Every case stands alone. When what is held was taken, the channel had `voucherKey`; when the voucher is offered, it has the case’s `voucherKeys`. A case with two faults names the one that is told.',
    given: {
      network,
      nowMs: NOW_MS,
      payer: toHex(payer.publicKey),
      payee: toHex(operator.publicKey),
      channel: toHex(CHANNEL),
      deposit: 1_000_000n,
      amountMax: 100_000n,
      held: vouched({ ceiling: 200_000n, sequence: 5 }),
      voucherKey: toHex(hot.publicKey),
      lane: 0,
    },
    valid: [
      { name: 'higher', hex: vouched({}) },
      { name: 'the one that is held', hex: vouched({ ceiling: 200_000n, sequence: 5 }) },
      { name: 'lower and earlier, which changes nothing', hex: vouched({ ceiling: 150_000n, sequence: 4 }) },
      { name: 'equal with a higher sequence', hex: vouched({ ceiling: 200_000n }) },
      { name: 'as high as the deposit', hex: vouched({ ceiling: 1_000_000n }) },
      { name: 'good until later', hex: vouched({ notAfterMs: NOW_MS }) },
      { name: 'by the voucher key', hex: vouched({}, hot), voucherKeys: [present(hot)] },
      { name: 'by the payer beside a voucher key', hex: vouched({}), voucherKeys: [present(hot)] },
      {
        name: 'by a new voucher key',
        hex: vouched({}, next),
        voucherKeys: [present(next), former(hot)],
      },
      { name: 'by the payer after a revocation', hex: vouched({}), voucherKeys: [former(hot)] },
      {
        name: 'by the payer, over what a revoked key signed',
        hex: vouched({}),
        voucherKeys: [former(hot)],
        held: vouched({ ceiling: 200_000n, sequence: 5 }, hot),
      },
    ],
    invalid: [
      { name: 'of another network', code: 'voucher-invalid', hex: vouched(foreign) },
      { name: 'on a lane that is not served', code: 'voucher-stale', hex: vouched({ lane: 64 }) },
      { name: 'of an unknown channel', code: 'channel-unknown', hex: vouched({ channel: filled(1) }) },
      { name: 'on a closing channel', code: 'channel-closing', hex: vouched({}), state: 'closing' },
      { name: 'past its end', code: 'voucher-stale', hex: vouched({ notAfterMs: NOW_MS - 1 }) },
      { name: 'over the deposit', code: 'voucher-invalid', hex: vouched({ ceiling: 1_000_001n }) },
      { name: 'lower with a higher sequence', code: 'voucher-stale', hex: vouched({ ceiling: 199_999n }) },
      { name: 'higher with the held sequence', code: 'voucher-stale', hex: vouched({ sequence: 5 }) },
      { name: 'higher with an earlier sequence', code: 'voucher-stale', hex: vouched({ sequence: 4 }) },
      {
        name: 'naming receipts that there are not',
        code: 'voucher-stale',
        hex: vouched({ receiptCount: 1, receiptRoot: filled(1) }),
      },
      {
        name: 'naming a total without receipts',
        code: 'voucher-invalid',
        hex: vouched({ receiptTotal: 1n }),
      },
      { name: 'signed by another key', code: 'voucher-invalid', hex: vouched({}, stranger) },
      { name: 'signed as a charge', code: 'voucher-invalid', hex: vouched({}, payer, 'charge') },
      {
        name: 'without a signature',
        code: 'voucher-invalid',
        hex: hexOf({ ...sign(payer, 'voucher', voucher.encode(plain)), signature: new Uint8Array(0) }),
      },
      {
        name: 'closing and over the deposit',
        code: 'channel-closing',
        hex: vouched({ ceiling: 1_000_001n }),
        state: 'closing',
      },
      {
        name: 'past its end and over the deposit',
        code: 'voucher-stale',
        hex: vouched({ notAfterMs: NOW_MS - 1, ceiling: 1_000_001n }),
      },
      {
        name: 'of another network and an unknown channel',
        code: 'voucher-invalid',
        hex: vouched({ ...foreign, channel: filled(1) }),
      },
      {
        name: 'stale and wrongly signed',
        code: 'voucher-stale',
        hex: vouched({ sequence: 5 }, stranger),
      },
      {
        name: 'by a revoked key',
        code: 'voucher-stale',
        hex: vouched({}, hot),
        voucherKeys: [former(hot)],
      },
      { name: 'by a revoked key whose time is over', code: 'voucher-invalid', hex: vouched({}, hot) },
      {
        name: 'by a replaced key',
        code: 'voucher-stale',
        hex: vouched({}, hot),
        voucherKeys: [present(next), former(hot)],
      },
      {
        name: 'by a key that is not the channel’s yet',
        code: 'voucher-invalid',
        hex: vouched({}, next),
        voucherKeys: [present(hot)],
      },
      {
        name: 'lower than what a revoked key signed',
        code: 'voucher-stale',
        hex: vouched({ ceiling: 150_000n, sequence: 4 }),
        voucherKeys: [former(hot)],
        held: vouched({ ceiling: 200_000n, sequence: 5 }, hot),
      },
      {
        name: 'by a revoked key and over the deposit',
        code: 'voucher-invalid',
        hex: vouched({ ceiling: 1_000_001n }, hot),
        voucherKeys: [former(hot)],
      },
      {
        name: 'by a revoked key on a closing channel',
        code: 'channel-closing',
        hex: vouched({}, hot),
        state: 'closing',
        voucherKeys: [former(hot)],
      },
    ],
  };
}

const soundReceipt = receipt.decode(tell(sampleStory()).ending.receipt.payload);

interface Told {
  readonly receipt: Partial<Receipt>;
  readonly charge?: Partial<Charge>;
}

interface Ending {
  readonly receipt: string;
  readonly charge: string;
}

interface EndingCase extends Ending {
  readonly name: string;
  /** The endings that were accepted before. */
  readonly accepted: readonly Ending[];
}

const first: Told = { receipt: { sequence: 0, callId: filled(1, 16) } };
const second: Told = { receipt: { sequence: 1, callId: filled(9, 16) } };

function endingOf(
  story: readonly Told[],
  signers: { readonly receipt?: Signer; readonly charge?: Signer } = {},
): Ending {
  const payloads = story.map((one) => receipt.encode({ ...soundReceipt, channel: CHANNEL, ...one.receipt }));
  const amounts = story.map((one) => one.receipt.amount ?? soundReceipt.amount);
  const tree = payloads.reduce(
    (grown, payload, i) => appendLeaf(suite, grown, receiptLeaf(suite, payload, amounts[i] ?? 0n)),
    EMPTY_TREE,
  );
  const root = treeRoot(suite, tree);
  const stated: Charge = {
    network,
    channel: CHANNEL,
    lane: 0,
    total: root.sum,
    sequence: story.length,
    receiptRoot: root.hash,
    attributionRoot: filled(0x55),
    ...story.at(-1)?.charge,
  };
  const last = payloads.at(-1) ?? new Uint8Array(0);
  return {
    receipt: hexOf(sign(signers.receipt ?? agent, 'receipt', last)),
    charge: hexOf(sign(signers.charge ?? operator, 'charge', charge.encode(stated))),
  };
}

/** Endings at a payer that reserved 150,000 grains for each of two calls of a channel. */
export function endingVectors(): Vectors<EndingCase, EndingCase> {
  const after = (name: string, change: Told, earlier: readonly Told[] = [first]): EndingCase => ({
    name,
    accepted: earlier.length === 0 ? [] : [endingOf(earlier)],
    ...endingOf([...earlier, change]),
  });
  const twoTotal = 2n * soundReceipt.amount;
  return {
    about:
      'Endings of the call `callId` at its payer (PAY-30 to PAY-32). It reserved `amountMax` for this call and as much for `earlierCall`, whose endings it may have `accepted`. An invalid one is receipt-invalid.',
    given: {
      network,
      payer: toHex(payer.publicKey),
      payee: toHex(operator.publicKey),
      agent: toHex(agent.publicKey),
      channel: toHex(CHANNEL),
      deposit: 1_000_000n,
      amountMax: 150_000n,
      callId: toHex(filled(9, 16)),
      earlierCall: toHex(filled(1, 16)),
    },
    valid: [
      after('the second receipt, and a charge over both', second),
      { ...after('the second receipt before the first has come', second), accepted: [] },
    ],
    invalid: [
      after('a receipt of another call', { receipt: { sequence: 1, callId: filled(2, 16) } }),
      after('an amount above what was reserved', {
        receipt: { sequence: 1, callId: filled(9, 16), amount: 150_001n },
      }),
      after('a charge above the voucher’s ceiling', { ...second, charge: { total: 300_001n } }),
      after('a charge that does not count the receipt', { ...second, charge: { sequence: 1 } }),
      after('two receipts for one sequence', { receipt: { sequence: 0, callId: filled(9, 16) } }),
      after('a charge that is not the sum of its receipts', { ...second, charge: { total: twoTotal + 1n } }),
      after('a charge over other receipts', { ...second, charge: { receiptRoot: filled(1) } }),
      after('a charge of another channel', { ...second, charge: { channel: filled(1) } }),
      after('a receipt for another payer', { receipt: { ...second.receipt, payer: stranger.publicKey } }),
      {
        ...after('a charge signed by the agent', second),
        ...endingOf([first, second], { charge: agent }),
      },
      {
        ...after('a receipt signed by the operator', second),
        ...endingOf([first, second], { receipt: operator }),
      },
    ],
  };
}
