/** Bundles of parties whose keys the ledger has, sound and with one fault each. */
import type { Bundle } from '../../src/protocol/bundle.ts';
import { certificateChain } from '../../src/protocol/certificate.ts';
import type { BundleCheck } from '../../src/protocol/verify-bundle.ts';
import {
  agent,
  filled,
  operator,
  payer,
  type Story,
  sampleCertificate,
  sampleStory,
  sign,
  signCertificate,
  stranger,
  tell,
} from '../../test/protocol/sample.ts';
import {
  channelOf,
  hot,
  KEYS_HEIGHT,
  proveChannel,
  proveKeys,
  recordOf,
  rotated,
  sampleKeyEvidence,
} from '../../test/protocol/sample-keys.ts';

export { KEYS_HEIGHT };

type Change = (story: Story) => void;

const told = (change: Change): Bundle => {
  const story = sampleStory();
  change(story);
  return tell(story);
};

/** A call whose operator and payer sign with keys that the ledger has for them. */
export function byNewKeys(story: Story): void {
  const operatorCertificate = certificateChain.encode([signCertificate(rotated.operator, sampleCertificate)]);
  story.card = { ...story.card, operatorCertificate };
  story.signers = { ...rotated, agent };
  story.keys = sampleKeyEvidence();
}

/** A call by the payer's own key, which counts up to the height `until`. */
export function byKeysOf(until: number): Change {
  return (story) => {
    const retired = [{ key: payer.publicKey, retiredAt: 30, until }];
    story.keys = proveKeys([[payer.publicKey, recordOf(rotated.payer.publicKey, retired)]]);
  };
}

/** A call whose vouchers a key of the channel signed, which counts up to the height `until`; without one, still. */
export function byVoucherKey(until?: number): Change {
  return (story) => {
    story.voucherSigner = hot;
    story.keys = proveChannel([{ key: hot.publicKey, until }]);
  };
}

/** Such a call of a payer who rotated, whose channel has another key by now. */
export function byFormerVoucherKey(story: Story): void {
  byNewKeys(story);
  story.voucherSigner = hot;
  const held = channelOf([
    { key: stranger.publicKey, until: undefined },
    { key: hot.publicKey, until: KEYS_HEIGHT },
  ]);
  const retired = [{ key: payer.publicKey, retiredAt: 30, until: 45 }];
  story.keys = proveKeys(
    [
      [payer.publicKey, recordOf(rotated.payer.publicKey, retired)],
      [operator.publicKey, recordOf(rotated.operator.publicKey)],
    ],
    {},
    [[filled(0xf0), held]],
  );
}

/** Faults of voucher keys. */
export function ofVoucherKeys(): readonly (readonly [name: string, check: BundleCheck, bundle: Bundle])[] {
  const proved = (keys: NonNullable<Story['keys']> | undefined): Bundle =>
    told((story) => {
      story.voucherSigner = hot;
      story.keys = keys;
    });
  const present = [{ key: hot.publicKey, until: undefined }];
  const sound = proveChannel(present);
  const [first] = sound.channels ?? [];
  if (first === undefined) throw new Error('the story is wrong');
  const lie = { ...first, record: channelOf([{ key: hot.publicKey, until: undefined }], { deposit: 1n }) };
  const elsewhere = proveKeys([], {}, [[filled(0xf1), channelOf(present)]]);
  const header = sign(stranger, 'block-header', sound.header.payload);
  const unsettled = (bundle: Bundle): Bundle => ({ ...bundle, settlement: undefined });
  return [
    ['a voucher by a channel key that nothing proves', 'payment', proved(undefined)],
    ['a voucher by a revoked channel key', 'payment', told(byVoucherKey(KEYS_HEIGHT - 1))],
    [
      'a voucher by a revoked channel key, not settled',
      'payment',
      unsettled(told(byVoucherKey(KEYS_HEIGHT - 1))),
    ],
    [
      'a voucher by a key of a channel without that key',
      'payment',
      proved(proveChannel([{ key: stranger.publicKey, until: undefined }])),
    ],
    ['a voucher by the key of another channel', 'payment', proved(elsewhere)],
    [
      'a voucher by a key of a channel of another payer',
      'payment',
      proved(proveChannel(present, { payer: stranger.publicKey })),
    ],
    [
      'a voucher by a key of a channel to another payee',
      'payment',
      proved(proveChannel(present, { payee: stranger.publicKey })),
    ],
    ['a channel that the block does not have', 'keys', proved({ ...sound, channels: [lie] })],
    ['a channel stated twice', 'keys', proved({ ...sound, channels: [first, first] })],
    ['channels of which none is stated', 'keys', proved({ ...sound, channels: [] })],
    ['a channel under a block signed by another key', 'keys', proved({ ...sound, header })],
  ];
}

function replaced(): Bundle {
  const story = sampleStory();
  byNewKeys(story);
  story.keys = proveKeys([
    [payer.publicKey, recordOf(rotated.payer.publicKey)],
    [operator.publicKey, recordOf(rotated.operator.publicKey)],
  ]);
  return tell(story);
}

/** Faults of keys. */
export function ofKeys(): readonly (readonly [name: string, check: BundleCheck, bundle: Bundle])[] {
  const sound = replaced();
  const { opening } = sound;
  const [keys] = sound.keys ?? [];
  if (keys === undefined || opening.voucher === undefined) throw new Error('the story is wrong');
  const late = sign(payer, 'voucher', opening.voucher.payload);
  const [first] = keys.identities;
  if (first === undefined) throw new Error('the story is wrong');
  const header = sign(stranger, 'block-header', keys.header.payload);
  const lie = { ...first, record: { ...first.record, key: stranger.publicKey } };
  return [
    ['a voucher by a revoked key', 'payment', { ...sound, opening: { ...opening, voucher: late } }],
    ['a question by a key that counted up to the block before', 'question', told(byKeysOf(KEYS_HEIGHT - 1))],
    ['keys under a block signed by another key', 'keys', { ...sound, keys: [{ ...keys, header }] }],
    ['keys that the block does not have', 'keys', { ...sound, keys: [{ ...keys, identities: [lie] }] }],
    ['keys stated twice', 'keys', { ...sound, keys: [{ ...keys, identities: [first, first] }] }],
    ['keys of the same block twice', 'keys', { ...sound, keys: [keys, keys] }],
    ['keys for no block', 'keys', { ...sound, keys: [] }],
    ['new keys that nothing proves', 'certificate', { ...sound, keys: undefined }],
  ];
}
