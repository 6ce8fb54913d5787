import { toHex } from '../../src/base/bytes.ts';
import { type Bundle, bundle } from '../../src/protocol/bundle.ts';
import { ONCE_EXTENSION } from '../../src/protocol/once.ts';
import type { Action } from '../../src/protocol/transaction.ts';
import type { BundleCheck } from '../../src/protocol/verify-bundle.ts';
import { ONCE_PRICE, type OnceStory, onceStory, tellOnce } from '../../test/protocol/once-sample.ts';
import {
  filled,
  network,
  operator,
  type Story,
  sampleStory,
  sequencer,
  stranger,
  tell,
} from '../../test/protocol/sample.ts';
import type { Vectors } from './file.ts';

interface SoundBundle {
  readonly name: string;
  readonly hex: string;
  readonly amount: bigint;
}

interface FaultyBundle {
  readonly name: string;
  readonly hex: string;
  /** The check that fails. */
  readonly check: BundleCheck;
}

type Pay = Extract<Action, { type: 'pay' }>;

const hexOf = (made: Bundle): string => toHex(bundle.encode(made));

function told(change: (story: Story) => void, more: Partial<OnceStory> = {}): Bundle {
  const made = onceStory(more);
  change(made.story);
  return tellOnce(made);
}

function paid(change: Partial<Pay>): Bundle {
  const made = onceStory();
  made.payment = { ...(made.payment as Pay), ...change };
  return tellOnce(made);
}

/** Evidence of calls that one transaction paid. */
export function onceVectors(): Vectors<SoundBundle, FaultyBundle> {
  const sound = tellOnce(onceStory());
  const channel = tell(sampleStory());
  const nothing = told((story) => {
    story.receipt = { ...story.receipt, finish: 'nothing-found' };
  });
  const valid = [
    { name: 'one transaction paid it', hex: hexOf(sound), amount: ONCE_PRICE },
    { name: 'nothing was found, and it was paid all the same', hex: hexOf(nothing), amount: ONCE_PRICE },
  ];
  const { settlement } = sound;
  if (settlement === undefined || channel.settlement === undefined) throw new TypeError('both are settled');
  const { receiptPath } = channel.settlement;
  const receipt = (change: Story['receipt']) =>
    told((story) => {
      story.receipt = { ...story.receipt, ...change };
    });
  const priced = told((story) => {
    const price = { perCall: ONCE_PRICE, perInputUnit: 0n, perOutputUnit: 1n };
    story.card = { ...story.card, price };
    story.receipt = { ...story.receipt, price };
  });
  const unmarked = told((story) => {
    story.envelope = {};
  });
  const half = { asset: sampleStory().card.asset, role: 'agent' as const, ppm: 1_000_000 };
  const free = told((story) => {
    story.receipt = { ...story.receipt, amount: 0n, shares: [{ ...half, amount: 0n }] };
  });
  const unknown = told((story) => {
    story.envelope = { extensions: new Map([[`${ONCE_EXTENSION}r`, new Uint8Array(0)]]) };
  });
  const cases: readonly (readonly [name: string, check: BundleCheck, made: Bundle])[] = [
    ['an extension that nobody knows', 'question', unknown],
    ['a call that is not marked as paid so', 'amount', unmarked],
    ['a receipt of another amount', 'amount', receipt({ amount: ONCE_PRICE - 1n })],
    ['a receipt of no amount', 'amount', free],
    ['a receipt with a channel', 'amount', receipt({ channel: filled(0xf0) })],
    ['a receipt with a place in a lane', 'amount', receipt({ sequence: 1 })],
    [
      'a share for somebody else',
      'amount',
      receipt({ shares: [{ ...half, asset: filled(0xb0), role: 'knowledge', amount: ONCE_PRICE }] }),
    ],
    ['an agent that is priced by the unit', 'payment', priced],
    ['no payment', 'payment', { ...sound, settlement: undefined }],
    [
      'a voucher beside it',
      'payment',
      { ...sound, opening: { ...sound.opening, voucher: channel.opening.voucher } },
    ],
    [
      'a charge beside it',
      'payment',
      { ...sound, ending: { ...sound.ending, charge: channel.ending.charge } },
    ],
    ['a block of another sequencer', 'block', told(() => {}, { header: { proposer: stranger.publicKey } })],
    ['a payment that the ledger refused', 'inclusion', told(() => {}, { code: 17 })],
    [
      'a result of another transaction',
      'inclusion',
      { ...sound, settlement: { ...settlement, result: { code: 0, moved: 1n } } },
    ],
    ['another payer', 'paid', told(() => {}, { payer: stranger })],
    ['another payee', 'paid', paid({ payee: sequencer.publicKey })],
    ['the payee and no asset', 'paid', paid({ asset: undefined })],
    ['another asset', 'paid', paid({ asset: filled(0xb0) })],
    ['a grain too little', 'paid', paid({ amount: ONCE_PRICE - 1n })],
    ['a grain too much', 'paid', paid({ amount: ONCE_PRICE + 1n })],
    ['another call', 'paid', paid({ reference: filled(8, 16) })],
    ['the id of the call itself', 'paid', paid({ reference: filled(9, 16) })],
    [
      'a transfer',
      'paid',
      tellOnce(
        onceStory({
          payment: { type: 'transfer', to: operator.publicKey, amount: ONCE_PRICE, memo: undefined },
        }),
      ),
    ],
    ['a claim', 'inclusion', { ...sound, settlement: { ...channel.settlement, header: settlement.header } }],
    ['a place in a charge', 'paid', { ...sound, settlement: { ...settlement, receiptPath } }],
    [
      'a call of a channel without its place in the charge',
      'counted',
      { ...channel, settlement: { ...channel.settlement, receiptPath: undefined } },
    ],
    ['a call of a channel with a payment', 'claim', { ...channel, settlement }],
  ];
  return {
    about:
      'Evidence of calls that one transaction paid (RCPT-71 to RCPT-73): `hex` is a bundle that holds, or fails at `check`.',
    given: { network },
    valid,
    invalid: cases.map(([name, check, made]) => ({ name, hex: hexOf(made), check })),
  };
}
