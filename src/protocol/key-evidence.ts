/**
 * Key evidence: which keys signed for some DIDs, and the vouchers of some channels, at one height of the ledger, provable
 * offline. It is the identity record of each DID and the record of each channel, with its state proof against one header
 * that the network's sequencer signed, or its validators decided on. Whoever follows the ledger, or asks it as a light client, can make it at any time,
 * without blocks of the past.
 *
 * It says nothing of later heights, and nothing of DIDs that it does not list: those stand for themselves.
 */
import { concat, equalBytes, toHex } from '../base/bytes.ts';
import type { BlockHeader } from './block.ts';
import {
  type CertifiedHeader,
  certifiedHeader,
  type NetworkRoot,
  openCertified,
} from './certified-header.ts';
import { must } from './evidence.ts';
import { IDENTITY_TAG, type IdentityRecord, identityRecord, signersIn } from './identity.ts';
import type { Hash, PublicKey } from './ids.ts';
import { KEY_EVIDENCE_CHANNELS_MAX, KEY_EVIDENCE_DIDS_MAX } from './limits.ts';
import { bytes, later, list, record, type Schema } from './schema.ts';
import { type StateProof, stateProof, verifyStateProof } from './state-proof.ts';
import { CHANNEL, keyOfState, type StateOf } from './state-records.ts';
import type { Suite } from './suite.ts';

/** The record of one registered DID, and its proof. */
export interface ProvedKeys {
  readonly did: PublicKey;
  readonly record: IdentityRecord;
  readonly proof: StateProof;
}

/** The record of one channel, which names its voucher keys, and its proof. */
export interface ProvedChannel {
  readonly channel: Hash;
  readonly record: StateOf<typeof CHANNEL>;
  readonly proof: StateProof;
}

/** Which keys sign for some DIDs, and the vouchers of some channels, at the height of `header`. */
export interface KeyEvidence {
  readonly header: CertifiedHeader;
  /** Each DID once. */
  readonly identities: readonly ProvedKeys[];
  /** Each channel once; absent: none. */
  readonly channels?: readonly ProvedChannel[] | undefined;
}

/** The wire form of key evidence. */
export const keyEvidence: Schema<KeyEvidence> = record('key-evidence', {
  header: certifiedHeader,
  identities: list(
    record('proved-keys', { did: bytes(32), record: identityRecord, proof: stateProof }),
    KEY_EVIDENCE_DIDS_MAX,
  ),
  channels: later(
    list(
      record('proved-channel', { channel: bytes(32), record: CHANNEL.schema, proof: stateProof }),
      KEY_EVIDENCE_CHANNELS_MAX,
    ),
  ),
});

/** A key that signed for a DID before. */
export interface FormerKey {
  readonly key: PublicKey;
  /** Height of the block that retired it; absent when the record names it no more. */
  readonly retiredAt: number | undefined;
}

/** The keys of some DIDs at one height. */
export interface KnownKeys {
  readonly height: number;
  /** How many DIDs are listed. */
  readonly count: number;
  /** The keys whose statements count for `did`, the present one first; `did` itself when it is not listed. */
  signersOf(did: PublicKey): readonly PublicKey[];
  /** Keys of `did` whose statements do not count any more, as far as they are known. */
  formerOf(did: PublicKey): readonly FormerKey[];
  /** The voucher keys of a channel between these two that count, besides the payer's; none where it is not listed. */
  voucherKeysOf(channel: ChannelParties): readonly PublicKey[];
  /** Voucher keys of the channel that count no more, as far as they are known. */
  formerVoucherKeysOf(channel: ChannelParties): readonly PublicKey[];
}

/** A channel and whose it is. */
export interface ChannelParties {
  readonly channel: Hash;
  readonly payer: PublicKey;
  readonly payee: PublicKey;
}

/** What is known without key evidence: every DID is its own key. */
export const OWN_KEYS: KnownKeys = {
  height: 0,
  count: 0,
  signersOf: (did) => [did],
  formerOf: () => [],
  voucherKeysOf: () => [],
  formerVoucherKeysOf: () => [],
};

/** The state key under which a DID's record stands. */
export function identityStateKey(did: PublicKey): Uint8Array {
  return concat(Uint8Array.of(IDENTITY_TAG), did);
}

/**
 * Checks key evidence of a network. Throws `bundle-invalid` with a reason in words; faults in this order: those of the
 * header (`openCertified`); then for each DID, that it is listed before, and its proof; then the same for each channel.
 * `malformed` for a header that is none.
 */
export function openKeyEvidence(suite: Suite, evidence: KeyEvidence, root: NetworkRoot): KnownKeys {
  const { header } = openCertified(suite, root, evidence.header, 'the block of the keys');
  const known = new Map<string, IdentityRecord>();
  for (const { did, record: held, proof } of evidence.identities) {
    const name = toHex(did);
    must(!known.has(name), `the keys of ${name} are stated twice`);
    const entry = { key: identityStateKey(did), value: identityRecord.encode(held) };
    must(verifyStateProof(suite, header.stateRoot, entry, proof), `the keys of ${name} are not in the block`);
    known.set(name, held);
  }
  const { height } = header;
  const signersOf = (did: PublicKey): readonly PublicKey[] => signersIn(known.get(toHex(did)), did, height);
  return {
    height,
    count: known.size,
    signersOf,
    ...openChannels(suite, evidence, header),
    formerOf(did) {
      const held = known.get(toHex(did));
      if (held === undefined) return [];
      const named: readonly FormerKey[] = [...held.retired, { key: did, retiredAt: undefined }];
      return named.filter(({ key }) => !signersOf(did).some((one) => equalBytes(one, key)));
    },
  };
}

/** What the channels of key evidence say, once they are proved. */
function openChannels(
  suite: Suite,
  evidence: KeyEvidence,
  { stateRoot, height }: BlockHeader,
): Pick<KnownKeys, 'voucherKeysOf' | 'formerVoucherKeysOf'> {
  const known = new Map<string, ProvedChannel['record']>();
  must(evidence.channels?.length !== 0, 'channels are stated, but there is none');
  for (const { channel, record: held, proof } of evidence.channels ?? []) {
    const name = toHex(channel);
    must(!known.has(name), `the channel ${name} is stated twice`);
    const entry = { key: keyOfState(CHANNEL, channel), value: CHANNEL.schema.encode(held) };
    must(verifyStateProof(suite, stateRoot, entry, proof), `the channel ${name} is not in the block`);
    known.set(name, held);
  }
  const keysOf = (parties: ChannelParties, counting: boolean): readonly PublicKey[] => {
    const held = known.get(toHex(parties.channel));
    const between =
      held !== undefined && equalBytes(held.payer, parties.payer) && equalBytes(held.payee, parties.payee);
    if (!between) return [];
    return held.voucherKeys
      .filter(({ until }) => (until === undefined || until >= height) === counting)
      .map(({ key }) => key);
  };
  return {
    voucherKeysOf: (parties) => keysOf(parties, true),
    formerVoucherKeysOf: (parties) => keysOf(parties, false),
  };
}

/**
 * Checks key evidence of several heights, each as `openKeyEvidence` does, and that the heights rise. What counts at one of
 * them counts; `formerOf` tells of keys that count at none.
 */
export function openKeysAtHeights(suite: Suite, all: readonly KeyEvidence[], root: NetworkRoot): KnownKeys {
  must(all.length > 0, 'keys are stated for no block');
  const known: KnownKeys[] = [];
  for (const evidence of all) {
    const next = openKeyEvidence(suite, evidence, root);
    must(next.height > (known.at(-1)?.height ?? -1), 'the blocks of the keys do not rise');
    known.push(next);
  }
  const [first] = known;
  if (first !== undefined && known.length === 1) return first;
  const stated = new Map(all.flatMap(({ identities }) => identities.map(({ did }) => [toHex(did), did])));
  const statedBy = (did: PublicKey): readonly KnownKeys[] =>
    known.filter((_, i) => all[i]?.identities.some((one) => equalBytes(one.did, did)));
  const signersOf = (did: PublicKey): readonly PublicKey[] => {
    const by = statedBy(did);
    return by.length === 0 ? [did] : by.toReversed().flatMap((one) => one.signersOf(did));
  };
  return {
    height: known.at(-1)?.height ?? 0,
    count: stated.size,
    signersOf,
    voucherKeysOf: (channel) => known.toReversed().flatMap((one) => one.voucherKeysOf(channel)),
    formerVoucherKeysOf: (channel) => known.toReversed().flatMap((one) => one.formerVoucherKeysOf(channel)),
    formerOf: (did) =>
      statedBy(did)
        .flatMap((one) => one.formerOf(did))
        .filter(({ key }) => !signersOf(did).some((one) => equalBytes(one, key))),
  };
}

/** A suite that checks signatures of DIDs by the keys that are known for them. */
export interface KeyedSuite extends Suite {
  /** The former key of `did` that made a signature that does not count; `undefined` when none did. */
  formerSigner(did: PublicKey, message: Uint8Array, signature: Uint8Array): FormerKey | undefined;
  readonly known: KnownKeys;
  /** The suite for which every key is itself. */
  readonly plain: Suite;
}

/** A suite for which a signature is a DID's when one of the keys that `known` has for it made it. */
export function keyedSuite(suite: Suite, known: KnownKeys): KeyedSuite {
  return {
    known,
    plain: suite,
    sha256: (...parts) => suite.sha256(...parts),
    verify: (did, message, signature) =>
      known.signersOf(did).some((key) => suite.verify(key, message, signature)),
    async verifyAsync(did, message, signature) {
      for (const key of known.signersOf(did))
        if (await suite.verifyAsync(key, message, signature)) return true;
      return false;
    },
    formerSigner: (did, message, signature) =>
      known.formerOf(did).find(({ key }) => suite.verify(key, message, signature)),
  };
}
