/**
 * Signatures. Whatever leaves in one tick is signed once: the messages are leaves of a Merkle tree, the root is
 * signed, and each message carries its path, so its evidence still verifies alone. A message alone is a tree of
 * one leaf. A leaf covers the message's domain, so no message passes for another type or network.
 */
import { concat, equalBytes, toHex } from '../base/bytes.ts';
import { invariant } from '../base/errors.ts';
import { deferTo } from '../base/turn.ts';
import { domain, type Hash } from './ids.ts';
import { BATCH_DEPTH_MAX } from './limits.ts';
import { bytes, bytesUpTo, list, record, type Schema, uint } from './schema.ts';
import type { Signer, Suite } from './suite.ts';

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/** Canonical bytes of a record with the proof that a key signed them. */
export interface Signed {
  /** Canonical bytes of the record, exactly as signed. */
  readonly payload: Uint8Array;
  /** Ed25519 over the batch domain and the root: 64 bytes. Empty means that it is missing. */
  readonly signature: Uint8Array;
  /** Bit i tells on which side sibling i stands: 1 is left. */
  readonly sides: number;
  /** Hashes from the leaf's sibling up to the root. */
  readonly siblings: readonly Hash[];
}

/** Largest payload that can be signed. */
export const PAYLOAD_BYTES_MAX = 1_048_576;

/** The wire form of a signed record. */
export const signed: Schema<Signed> = record('signed', {
  payload: bytesUpTo(PAYLOAD_BYTES_MAX),
  signature: bytesUpTo(64),
  sides: uint(2 ** BATCH_DEPTH_MAX - 1),
  siblings: list(bytes(32), BATCH_DEPTH_MAX),
});

/** One message to sign. */
export interface Unsigned {
  /** The record's type name, last part of its domain. */
  readonly type: string;
  readonly payload: Uint8Array;
}

/** Signs up to 4,096 messages of one network with one signature; results in the order of `items`. */
export function signBatch(
  suite: Suite,
  signer: Signer,
  network: string,
  items: readonly Unsigned[],
): readonly Signed[] {
  invariant(items.length <= 2 ** BATCH_DEPTH_MAX, 'a batch of at most 4,096 messages');
  const paths = items.map(() => ({ sides: 0, siblings: [] as Hash[] }));
  let level = items.map((item, index) => ({ hash: leafOf(suite, network, item), members: [index] }));
  while (level.length > 1) {
    const above: typeof level = [];
    for (let i = 0; i < level.length; i += 2) {
      const left = level[i] as (typeof level)[number];
      const right = level[i + 1];
      if (right === undefined) {
        above.push(left);
        continue;
      }
      climb(paths, left.members, right.hash, 0);
      climb(paths, right.members, left.hash, 1);
      const members = left.members.concat(right.members);
      above.push({ hash: suite.sha256(NODE, left.hash, right.hash), members });
    }
    level = above;
  }
  const root = level[0]?.hash;
  if (root === undefined) return [];
  const signature = signer.sign(concat(domain(network, 'batch'), root));
  return items.map((item, i) => ({
    payload: item.payload,
    signature,
    ...(paths[i] as (typeof paths)[number]),
  }));
}

function climb(
  paths: readonly { sides: number; siblings: Hash[] }[],
  members: readonly number[],
  sibling: Hash,
  side: 0 | 1,
): void {
  for (const member of members) {
    const path = paths[member] as { sides: number; siblings: Hash[] };
    path.sides |= side << path.siblings.length;
    path.siblings.push(sibling);
  }
}

/** Signs one message alone. */
export function signOne(suite: Suite, signer: Signer, network: string, item: Unsigned): Signed {
  return signBatch(suite, signer, network, [item])[0] as Signed;
}

function leafOf(suite: Suite, network: string, item: Unsigned): Hash {
  return suite.sha256(LEAF, domain(network, item.type), item.payload);
}

/** The bytes that the signature of `message` must cover, rebuilt from its payload and path. */
export function signedBytes(suite: Suite, network: string, type: string, message: Signed): Uint8Array {
  let hash = leafOf(suite, network, { type, payload: message.payload });
  message.siblings.forEach((sibling, i) => {
    const left = ((message.sides >> i) & 1) === 1;
    hash = left ? suite.sha256(NODE, sibling, hash) : suite.sha256(NODE, hash, sibling);
  });
  return concat(domain(network, 'batch'), hash);
}

/** Why a signature is refused: absent, or present and wrong. */
export type SignatureFault = 'signature-missing' | 'signature-invalid';

/** Checks that `publicKey` signed `message` as a `type` of `network`. Presence before validity. */
export function checkSigned(
  suite: Suite,
  network: string,
  type: string,
  publicKey: Uint8Array,
  message: Signed,
): SignatureFault | undefined {
  const fault = shapeFault(message);
  if (fault) return fault;
  const covered = signedBytes(suite, network, type, message);
  return suite.verify(publicKey, covered, message.signature) ? undefined : 'signature-invalid';
}

function shapeFault(message: Signed): SignatureFault | undefined {
  if (message.signature.length === 0) return 'signature-missing';
  if (message.signature.length !== 64) return 'signature-invalid';
  const depth = message.siblings.length;
  return depth <= BATCH_DEPTH_MAX && message.sides < 2 ** depth ? undefined : 'signature-invalid';
}

/** What a ledger says of who may speak for whom. */
export interface Trust {
  /**
   * The keys whose statements of `type` count for a DID now, the one that signs now first. `undefined`: the DID is the
   * only one, as of everybody who never registered another.
   */
  signersOf(did: Uint8Array, type: string): readonly Uint8Array[] | undefined;
  /** Whether an issuer took the certificate with this serial back. */
  isRevoked(issuer: Uint8Array, serial: Uint8Array): boolean;
  /** Resolves when answers about a DID, or a certificate of it, are at hand; `undefined`: they are. */
  ready?(did: Uint8Array, serial?: Uint8Array): Promise<unknown> | undefined;
  /** Grows whenever an earlier answer may have become another. */
  version(): number;
  /** Resolves with true once what is known of a DID may be newer, with false when that takes too long or too many wait. */
  later(did: Uint8Array): Promise<boolean>;
}

/** Checks signatures off the event loop and verifies each batch root once. */
export interface Verifier {
  /** What it asks who signs for a DID, and of certificates whether they were taken back. Absent: every DID is its own key. */
  readonly trust?: Trust;
  /** The same for keys that are no DIDs: each is itself. Absent: this one. */
  readonly plain?: Pick<Verifier, 'check'>;
  check(
    network: string,
    type: string,
    publicKey: Uint8Array,
    message: Signed,
  ): Promise<SignatureFault | undefined>;
}

interface Verified {
  readonly publicKey: Uint8Array;
  readonly covered: Uint8Array;
  readonly signature: Uint8Array;
}

interface KnownVerdict extends Verified {
  readonly verdict: Promise<boolean>;
}

function isOf(known: KnownVerdict, { publicKey, covered, signature }: Verified): boolean {
  return (
    equalBytes(known.signature, signature) &&
    equalBytes(known.covered, covered) &&
    equalBytes(known.publicKey, publicKey)
  );
}

/** A verifier that remembers the verdicts on its last `remembered` roots (default 4,096). */
export function createVerifier(suite: Suite, remembered = 4096): Verifier {
  const known = new Map<string, KnownVerdict>();
  return {
    async check(network, type, publicKey, message) {
      const fault = shapeFault(message) ?? (publicKey.length === 32 ? undefined : 'signature-invalid');
      if (fault) return fault;
      const covered = signedBytes(suite, network, type, message);
      const { signature } = message;
      // The beginning of a signature finds the verdict; all of it, its key and what it covers must be the same.
      const name = toHex(signature.subarray(0, 16));
      let found = known.get(name);
      if (found === undefined || !isOf(found, { publicKey, covered, signature })) {
        const verdict = suite.verifyAsync(publicKey, covered, signature);
        // Copies, because a view would keep all that came with it.
        found = { publicKey: publicKey.slice(), covered, signature: signature.slice(), verdict };
        known.set(name, found);
        verdict.catch(() => known.delete(name));
        if (known.size > remembered) known.delete(known.keys().next().value as string);
      }
      return (await found.verdict) ? undefined : 'signature-invalid';
    },
  };
}

/**
 * `verifier`, for which a DID's statements are those of the keys that `trust` names. What no key of a registered DID
 * signed is looked at again after the next block: its rotation may be in there.
 */
export function createTrustedVerifier(verifier: Verifier, trust: Trust): Verifier {
  const byItsKeys: Verifier['check'] = async (network, type, did, message) => {
    await trust.ready?.(did);
    const keys = trust.signersOf(did, type);
    if (keys === undefined) return verifier.check(network, type, did, message);
    let fault: SignatureFault | undefined;
    for (const key of keys) {
      fault = await verifier.check(network, type, key, message);
      if (fault !== 'signature-invalid') return fault;
    }
    return fault;
  };
  const twice: Verifier['check'] = async (network, type, did, message) => {
    const fault = await byItsKeys(network, type, did, message);
    if (fault !== 'signature-invalid' || trust.signersOf(did, type) === undefined) return fault;
    return (await trust.later(did)) ? byItsKeys(network, type, did, message) : fault;
  };
  return {
    trust,
    plain: verifier,
    check(network, type, did, message) {
      // Nothing more than a look in a map for who never registered another key.
      const own = trust.ready?.(did) === undefined && trust.signersOf(did, type) === undefined;
      return own ? verifier.check(network, type, did, message) : twice(network, type, did, message);
    },
  };
}

/** Signs what is asked of it in one tick with one signature. */
export interface TickSigner {
  readonly publicKey: Uint8Array;
  sign(type: string, payload: Uint8Array): Promise<Signed>;
}

/** Parts of a tick signer. */
export interface TickSignerParts {
  readonly suite: Suite;
  readonly signer: Signer;
  readonly network: string;
  /** Runs a function at the end of the tick. Default: the end of the turn, before what it sends. */
  readonly defer?: (run: () => void) => void;
}

/** A signer that gathers the messages of a tick, up to 1,024 of them, under one signature. */
export function createTickSigner(parts: TickSignerParts): TickSigner {
  const { suite, signer, network, defer = deferTo('sign') } = parts;
  const batchMax = 1024;
  const waiting: { item: Unsigned; done: (signed: Signed) => void; failed: (error: unknown) => void }[] = [];
  const flush = (): void => {
    const batch = waiting.splice(0, batchMax);
    if (waiting.length > 0) defer(flush);
    try {
      const messages = signBatch(
        suite,
        signer,
        network,
        batch.map((entry) => entry.item),
      );
      batch.forEach((entry, i) => {
        entry.done(messages[i] as Signed);
      });
    } catch (error) {
      for (const entry of batch) entry.failed(error);
    }
  };
  return {
    publicKey: signer.publicKey,
    sign: (type, payload) =>
      new Promise((done, failed) => {
        if (waiting.length === 0) defer(flush);
        waiting.push({ item: { type, payload }, done, failed });
      }),
  };
}
