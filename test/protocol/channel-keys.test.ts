import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CHANNELS, stateKey } from '../../src/ledger/records.ts';
import { bundle } from '../../src/protocol/bundle.ts';
import { type KeyEvidence, keyEvidence, openKeyEvidence } from '../../src/protocol/key-evidence.ts';
import { KEY_EVIDENCE_CHANNELS_MAX } from '../../src/protocol/limits.ts';
import { later, record, uint } from '../../src/protocol/schema.ts';
import { CHANNEL, keyOfState } from '../../src/protocol/state-records.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { portableSuite } from '../../src/protocol/suite-portable.ts';
import { type BundleVerdict, verifyBundle } from '../../src/protocol/verify-bundle.ts';
import {
  filled,
  network,
  operator,
  payer,
  sampleStory,
  sequencer,
  sign,
  stranger,
  suite,
  tell,
} from './sample.ts';
import { channelOf, hot, KEYS_HEIGHT, proveChannel, proveKeys } from './sample-keys.ts';

const CHANNEL_ID = filled(0xf0);
const parties = { channel: CHANNEL_ID, payer: payer.publicKey, payee: operator.publicKey };
const trusted = { network, sequencer: sequencer.publicKey };

/** The verdict of both suites on the sample call, whose vouchers `signer` signed. */
function verdictOn(signer: Signer, ...keys: readonly KeyEvidence[]): BundleVerdict {
  const told = tell({ ...sampleStory(), voucherSigner: signer });
  const file = bundle.encode({ ...told, keys: keys.length > 0 ? keys : undefined });
  const verdict = verifyBundle(suite, file);
  expect(verifyBundle(portableSuite, file)).toEqual(verdict);
  return verdict;
}

const last = ({ steps }: BundleVerdict) => steps.at(-1);

describe('fields that were added later (ENC-15)', () => {
  const before = record('thing', { first: uint() });
  const after = record('thing', { first: uint(), second: later(uint()), third: later(uint()) });

  it('leave records without them as they were', () => {
    fc.assert(
      fc.property(fc.nat(), (first) => {
        expect(after.encode({ first, second: undefined, third: undefined })).toEqual(
          before.encode({ first }),
        );
        expect(after.decode(before.encode({ first })).first).toBe(first);
      }),
    );
  });

  it('have one form, whichever are there', () => {
    const some = fc.option(fc.nat(), { nil: undefined });
    fc.assert(
      fc.property(fc.nat(), some, some, (first, second, third) => {
        const bytes = after.encode({ first, second, third });
        expect(bytes[0]).toBe(0x80 + (third !== undefined ? 3 : second !== undefined ? 2 : 1));
        expect(after.encode(after.decode(bytes))).toEqual(bytes);
      }),
    );
    for (const wrong of ['80', '8201f6', '830102f6', '8301f6f6', '8401020304']) {
      expect(() => after.decode(Uint8Array.from(Buffer.from(wrong, 'hex')))).toThrow();
    }
  });
});

describe('channels in key evidence', () => {
  it('stand under the state key of the ledger (RCPT-69, LEDGER-5)', () => {
    expect(keyOfState(CHANNEL, CHANNEL_ID)).toEqual(stateKey(CHANNELS, CHANNEL_ID));
  });

  it('tell which keys count for the vouchers of these two at that height (RCPT-68)', () => {
    const keys = fc.array(
      fc.record({ fill: fc.integer({ min: 1, max: 99 }), until: fc.option(fc.nat(80)) }),
      {
        maxLength: 4,
      },
    );
    fc.assert(
      fc.property(keys, (drawn) => {
        const held = drawn.map(({ fill, until }) => ({ key: filled(fill), until: until ?? undefined }));
        const known = openKeyEvidence(suite, proveChannel(held), trusted);
        const counting = held.filter(({ until }) => until === undefined || until >= KEYS_HEIGHT);
        expect(known.voucherKeysOf(parties)).toEqual(counting.map(({ key }) => key));
        const over = held.filter((one) => !counting.includes(one));
        expect(known.formerVoucherKeysOf(parties)).toEqual(over.map(({ key }) => key));
        for (const others of [
          { ...parties, channel: filled(0xf1) },
          { ...parties, payer: stranger.publicKey },
          { ...parties, payee: stranger.publicKey },
        ]) {
          expect(known.voucherKeysOf(others)).toEqual([]);
        }
      }),
      { numRuns: 30 },
    );
  });

  it('are refused for every fault, after those of DIDs (RCPT-69)', () => {
    const sound = proveChannel([{ key: hot.publicKey, until: undefined }]);
    const first = sound.channels?.[0];
    if (first === undefined) throw new Error('there is no channel');
    const refusal = (channels: KeyEvidence['channels']): string => {
      try {
        openKeyEvidence(suite, { ...sound, channels }, trusted);
        return 'taken';
      } catch (error) {
        return String((error as { facts?: { reason?: unknown } }).facts?.reason);
      }
    };
    expect(refusal([first])).toBe('taken');
    expect(refusal([])).toContain('none');
    expect(refusal([first, first])).toContain('twice');
    const lies = [
      { ...first, channel: filled(0xf1) },
      { ...first, record: channelOf([{ key: stranger.publicKey, until: undefined }]) },
      { ...first, proof: { ...first.proof, siblings: [] } },
    ];
    for (const lie of lies) expect(refusal([lie])).toContain('not in the block');
  });

  it('are bounded, and evidence without any reads as it always did (RCPT-69)', () => {
    const { header, identities, channels } = proveChannel([]);
    const first = channels?.[0];
    if (first === undefined) throw new Error('there is no channel');
    const many = (count: number): KeyEvidence => ({
      header,
      identities,
      channels: Array.from({ length: count }, () => first),
    });
    const most = keyEvidence.decode(keyEvidence.encode(many(KEY_EVIDENCE_CHANNELS_MAX)));
    expect(most.channels).toHaveLength(KEY_EVIDENCE_CHANNELS_MAX);
    expect(() => keyEvidence.encode(many(KEY_EVIDENCE_CHANNELS_MAX + 1))).toThrow();
    expect(keyEvidence.encode(proveKeys([]))[0]).toBe(0x82);
  });
});

describe('a bundle whose vouchers a key of the channel signed', () => {
  it('verifies with the channel proved, and not without (RCPT-7, RCPT-36, RCPT-68)', () => {
    const sound = verdictOn(hot, proveChannel([{ key: hot.publicKey, until: undefined }]));
    expect(last(sound)).toMatchObject({ check: 'split', ok: true });
    expect(sound.steps.find(({ check }) => check === 'keys')?.detail).toBe(
      'those of 0 DIDs and 1 channel at block 40',
    );
    expect(sound.steps.find(({ check }) => check === 'payment')?.detail).toContain(
      'the key that the ledger has',
    );
    expect(last(verdictOn(hot))).toEqual({
      check: 'payment',
      ok: false,
      detail: "the voucher's signature does not match",
    });
  });

  it('takes the payer’s own key as ever, whatever key the channel has (RCPT-68)', () => {
    expect(last(verdictOn(payer, proveChannel([{ key: hot.publicKey, until: undefined }])))?.check).toBe(
      'split',
    );
  });

  it('takes a former key to its last height and says of one past it that it was replaced (RCPT-68)', () => {
    const at = (until: number): BundleVerdict =>
      verdictOn(hot, proveChannel([{ key: hot.publicKey, until }]));
    expect(last(at(KEYS_HEIGHT))).toMatchObject({ check: 'split', ok: true });
    expect(last(at(KEYS_HEIGHT - 1))).toEqual({
      check: 'payment',
      ok: false,
      detail: 'the voucher is signed by a key of the channel that was replaced',
    });
  });

  it('takes what counted at one of several heights (RCPT-68, ID-24)', () => {
    const then = proveKeys([], { height: 20 }, [
      [CHANNEL_ID, channelOf([{ key: hot.publicKey, until: undefined }])],
    ]);
    const now = proveChannel([]);
    expect(last(verdictOn(hot, now))?.check).toBe('payment');
    expect(last(verdictOn(hot, then, now))).toMatchObject({ check: 'split', ok: true });
  });

  it('takes the key of a channel for nothing but its vouchers (RCPT-68)', () => {
    const told = tell({ ...sampleStory(), settled: false, voucherSigner: hot });
    const keys = [proveChannel([{ key: hot.publicKey, until: undefined }])];
    const { opening, ending } = told;
    if (ending.charge === undefined) throw new Error('there is no charge');
    const question = sign(hot, 'call', opening.envelope.payload);
    const charge = sign(hot, 'charge', ending.charge.payload);
    const check = (changed: Partial<typeof told>): string | undefined =>
      last(verifyBundle(suite, bundle.encode({ ...told, keys, ...changed })))?.check;
    expect(check({})).toBe('payment');
    expect(verifyBundle(suite, bundle.encode({ ...told, keys })).ok).toBe(true);
    expect(check({ opening: { ...opening, envelope: question } })).toBe('question');
    expect(verifyBundle(suite, bundle.encode({ ...told, keys, ending: { ...ending, charge } })).ok).toBe(
      false,
    );
  });
});
