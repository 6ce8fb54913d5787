/**
 * Key evidence: which keys signed for some DIDs at one height of the ledger, provable offline. It is the identity
 * record of each, with its state proof against one header that the network's sequencer signed. Whoever follows the ledger, or asks it as a light client, can make it at any time, without blocks of the past.
 *
 * It says nothing of later heights, and nothing of DIDs that it does not list: those stand for themselves.
 */
import { concat, equalBytes, toHex } from '../base/bytes.ts';
import { blockHeader } from './block.ts';
import { must, mustMatch } from './evidence.ts';
import { IDENTITY_TAG, type IdentityRecord, identityRecord, signersIn } from './identity.ts';
import type { PublicKey } from './ids.ts';
import { KEY_EVIDENCE_DIDS_MAX } from './limits.ts';
import { bytes, list, record, type Schema } from './schema.ts';
import { checkSigned, type Signed, signed } from './signing.ts';
import { type StateProof, stateProof, verifyStateProof } from './state-proof.ts';
import type { Suite } from './suite.ts';

/** The record of one registered DID, and its proof. */
export interface ProvedKeys {
  readonly did: PublicKey;
  readonly record: IdentityRecord;
  readonly proof: StateProof;
}

/** Which keys sign for some DIDs at the height of `header`. */
export interface KeyEvidence {
  readonly header: Signed;
  /** Each DID once. */
  readonly identities: readonly ProvedKeys[];
}

/** The wire form of key evidence. */
export const keyEvidence: Schema<KeyEvidence> = record('key-evidence', {
  header: signed,
  identities: list(
    record('proved-keys', { did: bytes(32), record: identityRecord, proof: stateProof }),
    KEY_EVIDENCE_DIDS_MAX,
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
}

/** What is known without key evidence: every DID is its own key. */
export const OWN_KEYS: KnownKeys = {
  height: 0,
  count: 0,
  signersOf: (did) => [did],
  formerOf: () => [],
};

/** The state key under which a DID's record stands. */
export function identityStateKey(did: PublicKey): Uint8Array {
  return concat(Uint8Array.of(IDENTITY_TAG), did);
}

/**
 * Checks key evidence of a network against its sequencer's key. Throws `bundle-invalid` with a reason in words; faults
 * in this order: the header's version, network, proposer and signature; then for each DID, that it is listed before,
 * and its proof. `malformed` for a header that is none.
 */
export function openKeyEvidence(
  suite: Suite,
  evidence: KeyEvidence,
  trusted: { readonly network: string; readonly sequencer: PublicKey },
): KnownKeys {
  const { network, sequencer } = trusted;
  const header = blockHeader.decode(evidence.header.payload);
  must(header.version === 1, 'the block of the keys is of another version');
  must(header.network === network, 'the block of the keys is of another network');
  mustMatch(header.proposer, sequencer, 'the block of the keys is not of the network’s sequencer');
  const fault = checkSigned(suite, network, 'block-header', sequencer, evidence.header);
  must(fault === undefined, "the signature of the keys' block does not match");
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
    formerOf(did) {
      const held = known.get(toHex(did));
      if (held === undefined) return [];
      const named: readonly FormerKey[] = [...held.retired, { key: did, retiredAt: undefined }];
      return named.filter(({ key }) => !signersOf(did).some((one) => equalBytes(one, key)));
    },
  };
}

/**
 * Checks key evidence of several heights, each as `openKeyEvidence` does, and that the heights rise. What counts at one of
 * them counts; `formerOf` tells of keys that count at none.
 */
export function openKeysAtHeights(
  suite: Suite,
  all: readonly KeyEvidence[],
  trusted: { readonly network: string; readonly sequencer: PublicKey },
): KnownKeys {
  must(all.length > 0, 'keys are stated for no block');
  const known: KnownKeys[] = [];
  for (const evidence of all) {
    const next = openKeyEvidence(suite, evidence, trusted);
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
}

/** A suite for which a signature is a DID's when one of the keys that `known` has for it made it. */
export function keyedSuite(suite: Suite, known: KnownKeys): KeyedSuite {
  return {
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
