import { describe, expect, it } from 'vitest';
import { concat } from '../../src/base/bytes.ts';
import { stateKey } from '../../src/ledger/records.ts';
import { IDENTITIES } from '../../src/ledger/records-identity.ts';
import { bundle } from '../../src/protocol/bundle.ts';
import { certificateChain } from '../../src/protocol/certificate.ts';
import type { IdentityRecord } from '../../src/protocol/identity.ts';
import type { PublicKey } from '../../src/protocol/ids.ts';
import {
  identityStateKey,
  type KeyEvidence,
  keyEvidence,
  openKeyEvidence,
} from '../../src/protocol/key-evidence.ts';
import { KEY_EVIDENCE_DIDS_MAX, KEY_HEIGHTS_MAX } from '../../src/protocol/limits.ts';
import { portableSuite } from '../../src/protocol/suite-portable.ts';
import { type BundleVerdict, verifyBundle } from '../../src/protocol/verify-bundle.ts';
import {
  agent,
  filled,
  network,
  operator,
  payer,
  type Story,
  sampleCertificate,
  sampleStory,
  sequencer,
  sign,
  signCertificate,
  stranger,
  suite,
  tell,
} from './sample.ts';
import { KEYS_HEIGHT, proveKeys, recordOf, rotated, sampleKeyEvidence } from './sample-keys.ts';

type Records = readonly (readonly [did: PublicKey, record: IdentityRecord])[];

const ALL: Records = [
  [payer.publicKey, recordOf(rotated.payer.publicKey)],
  [agent.publicKey, recordOf(rotated.agent.publicKey)],
  [operator.publicKey, recordOf(rotated.operator.publicKey)],
];

/** A call in which every party signs with the key that it rotated to. */
function rotatedStory(): Story {
  const story = sampleStory();
  const operatorCertificate = certificateChain.encode([signCertificate(rotated.operator, sampleCertificate)]);
  return { ...story, card: { ...story.card, operatorCertificate }, signers: rotated };
}

function verdictOn(change: (story: Story) => void, story = sampleStory()): BundleVerdict {
  change(story);
  const file = bundle.encode(tell(story));
  const verdict = verifyBundle(suite, file);
  expect(verifyBundle(portableSuite, file)).toEqual(verdict);
  return verdict;
}

const last = ({ steps }: BundleVerdict) => steps.at(-1);

describe('key evidence', () => {
  it('stands under the state key of the ledger (ID-20, LEDGER-5)', () => {
    expect(identityStateKey(payer.publicKey)).toEqual(stateKey(IDENTITIES, payer.publicKey));
  });

  it('tells which keys count and which did (ID-21)', () => {
    const known = openKeyEvidence(suite, sampleKeyEvidence(), { network, sequencer: sequencer.publicKey });
    expect([known.height, known.count]).toEqual([KEYS_HEIGHT, 2]);
    expect(known.signersOf(payer.publicKey)).toEqual([rotated.payer.publicKey, payer.publicKey]);
    expect(known.formerOf(payer.publicKey)).toEqual([]);
    expect(known.signersOf(operator.publicKey)).toEqual([rotated.operator.publicKey]);
    expect(known.formerOf(operator.publicKey)).toEqual([{ key: operator.publicKey, retiredAt: undefined }]);
    for (const own of [agent, stranger]) expect(known.signersOf(own.publicKey)).toEqual([own.publicKey]);
  });

  it('is refused for every fault, in order (ID-20)', () => {
    const sound = sampleKeyEvidence();
    const [first, second] = sound.identities as [
      KeyEvidence['identities'][number],
      KeyEvidence['identities'][number],
    ];
    const refusal = (evidence: KeyEvidence): string => {
      try {
        openKeyEvidence(suite, evidence, { network, sequencer: sequencer.publicKey });
        return 'taken';
      } catch (error) {
        return String((error as { facts?: { reason?: unknown } }).facts?.reason);
      }
    };
    const under = (changes: Parameters<typeof proveKeys>[1]): string => refusal(proveKeys(ALL, changes));
    expect(under({})).toBe('taken');
    expect(under({ version: 2, network: 'other-0' })).toContain('another version');
    expect(under({ network: 'other-0', proposer: stranger.publicKey })).toContain('another network');
    expect(under({ proposer: stranger.publicKey })).toContain('sequencer');
    const forged = sign(stranger, 'block-header', sound.header.payload);
    expect(refusal({ header: forged, identities: [first, first] })).toContain('signature');
    expect(refusal({ ...sound, identities: [first, second, first] })).toContain('twice');
    const lies: readonly KeyEvidence['identities'][number][] = [
      { ...first, record: recordOf(stranger.publicKey) },
      { ...first, did: stranger.publicKey },
      { ...first, proof: second.proof },
      { ...first, proof: { ...first.proof, siblings: [] } },
    ];
    for (const lie of lies) expect(refusal({ ...sound, identities: [lie] })).toContain('not in the block');
  });

  it('is bounded (ID-20)', () => {
    const { header, identities } = sampleKeyEvidence();
    const many = (count: number): KeyEvidence => ({
      header,
      identities: Array.from({ length: count }, () => identities[0] as (typeof identities)[number]),
    });
    expect(keyEvidence.decode(keyEvidence.encode(many(KEY_EVIDENCE_DIDS_MAX))).identities).toHaveLength(128);
    expect(() => keyEvidence.encode(many(KEY_EVIDENCE_DIDS_MAX + 1))).toThrow();
  });
});

describe('a bundle of parties that rotated', () => {
  it('verifies with their keys proved, from the first check to the last (ID-21, ID-23)', () => {
    const sound = verdictOn((story) => {
      story.keys = proveKeys(ALL);
    }, rotatedStory());
    expect(last(sound)).toMatchObject({ check: 'split', ok: true });
    expect(sound.steps.find(({ check }) => check === 'keys')?.detail).toBe('those of 3 DIDs at block 40');
    const silent = verdictOn(() => {}, rotatedStory());
    expect(last(silent)).toEqual({ check: 'card', ok: false, detail: "the card's signature does not match" });
  });

  it('verifies with what keys signed that are retired but still count, and not a block longer (ID-21, ID-22)', () => {
    const under = (until: number): BundleVerdict =>
      verdictOn((story) => {
        const retired = [{ key: payer.publicKey, retiredAt: 30, until }];
        story.keys = proveKeys([[payer.publicKey, recordOf(rotated.payer.publicKey, retired)]]);
      });
    expect(last(under(KEYS_HEIGHT))).toMatchObject({ check: 'split', ok: true });
    expect(last(under(KEYS_HEIGHT - 1))).toEqual({
      check: 'question',
      ok: false,
      detail: 'the question is signed by a key that was retired at block 30 and counts no more',
    });
  });

  it('refuses vouchers, charges and receipts by keys that do not count, in words (ID-22)', () => {
    const cases: readonly (readonly [keyof Story['signers'], RegExp])[] = [
      ['payer', /^the question is signed by a key that was replaced long before$/],
      ['agent', /^the card is signed by a key that was replaced long before$/],
      ['operator', /^the charge is signed by a key that was replaced long before$/],
    ];
    for (const [who, words] of cases) {
      const verdict = verdictOn((story) => {
        story.keys = proveKeys(ALL);
        story.signers = { ...rotated, [who]: { payer, agent, operator }[who] };
      }, rotatedStory());
      expect(last(verdict)?.detail).toMatch(words);
    }
    const foreign = verdictOn((story) => {
      story.keys = proveKeys(ALL);
      story.signers = { ...rotated, operator: stranger };
    }, rotatedStory());
    expect(last(foreign)).toMatchObject({
      check: 'payment',
      detail: "the charge's signature does not match",
    });
  });

  it('refuses a voucher by a key that was retired (ID-22)', () => {
    const told = tell({ ...rotatedStory(), keys: proveKeys(ALL), settled: false });
    const late = sign(payer, 'voucher', told.opening.voucher?.payload ?? filled(0));
    const file = bundle.encode({ ...told, opening: { ...told.opening, voucher: late } });
    expect(last(verifyBundle(suite, file))).toEqual({
      check: 'payment',
      ok: false,
      detail: 'the voucher is signed by a key that was replaced long before',
    });
  });

  it('verifies with keys of several heights that rise, by what counted at each (ID-24)', () => {
    const told = tell({ ...rotatedStory(), signers: { ...rotated, payer } });
    const early = proveKeys([[payer.publicKey, recordOf(payer.publicKey)]], { height: KEYS_HEIGHT - 20 });
    const late = proveKeys(ALL);
    const under = (...keys: readonly KeyEvidence[]): BundleVerdict =>
      verifyBundle(suite, bundle.encode({ ...told, keys }));
    expect(last(under(late))?.check).toBe('question');
    const both = under(early, late);
    expect(last(both)).toMatchObject({ check: 'split', ok: true });
    expect(both.steps.find(({ check }) => check === 'keys')?.detail).toBe(
      'those of 3 DIDs at 2 blocks up to 40',
    );
    for (const wrong of [[], [late, early], [late, late]]) {
      expect(last(under(...wrong))).toMatchObject({ check: 'keys', ok: false });
    }
    expect(() => under(...Array.from({ length: KEY_HEIGHTS_MAX + 1 }, () => late))).toThrow();
  });

  it('takes headers from the key of the genesis alone, whatever is proved of it (ID-21, LEDGER-70)', () => {
    const moved = recordOf(stranger.publicKey);
    const verdict = verdictOn((story) => {
      story.keys = proveKeys([...ALL, [sequencer.publicKey, moved]]);
    }, rotatedStory());
    expect(last(verdict)).toMatchObject({ check: 'split', ok: true });
  });

  it('fails for a change of any byte of its keys, with a reason (ID-20, RCPT-31)', () => {
    const story = { ...rotatedStory(), keys: proveKeys(ALL.slice(0, 2)) };
    const file = bundle.encode(
      tell({ ...story, signers: { ...rotated, operator }, card: sampleStory().card }),
    );
    expect(verifyBundle(suite, file).ok).toBe(true);
    const keys = keyEvidence.encode(story.keys);
    const start = file.length - keys.length;
    expect(concat(file.subarray(0, start), keys)).toEqual(file);
    for (let at = start; at < file.length; at++) {
      const changed = file.slice();
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
      expect(verifyBundle(suite, changed).ok, `byte ${at - start}`).toBe(false);
    }
  });
});
