/**
 * Signatures for stories. Most seeds use a suite that is not cryptography at all: a signature is a SHA-256 over the
 * key's secret and the message, and the suite knows the secrets of all keys that it made. It is as deterministic as
 * Ed25519, twenty times as fast, and a party that was not given a signer cannot make one.
 */
import { toHex, utf8 } from '../../src/base/bytes.ts';
import type { Signer, Suite } from '../../src/protocol/suite.ts';
import { createSigner, nativeSuite } from '../../src/protocol/suite-native.ts';

/** A suite and the keys that it can make. */
export interface Keys {
  readonly suite: Suite;
  /** The signer of a 32-byte seed; the same seed gives the same key. */
  signer(seed: Uint8Array): Signer;
}

const { sha256 } = nativeSuite;
const KEY = utf8('sim-key');
const LEFT = utf8('sim-left');
const RIGHT = utf8('sim-right');

/** Fast keys, which only stories accept. */
export function createFastKeys(): Keys {
  const secrets = new Map<string, Uint8Array>();
  const signature = (secret: Uint8Array, message: Uint8Array): Uint8Array => {
    const made = new Uint8Array(64);
    made.set(sha256(LEFT, secret, message));
    made.set(sha256(RIGHT, secret, message), 32);
    return made;
  };
  const verify: Suite['verify'] = (publicKey, message, given) => {
    const secret = secrets.get(toHex(publicKey));
    if (secret === undefined || given.length !== 64) return false;
    return toHex(signature(secret, message)) === toHex(given);
  };
  return {
    suite: { sha256, verify, verifyAsync: async (...args) => verify(...args) },
    signer(seed) {
      const publicKey = sha256(KEY, seed).slice();
      secrets.set(toHex(publicKey), seed.slice());
      return { publicKey, sign: (message) => signature(seed, message) };
    },
  };
}

/** Ed25519 as everywhere else, but never on another thread, whose answers would come in an order of their own. */
export function createRealKeys(): Keys {
  const { verify } = nativeSuite;
  return {
    suite: { ...nativeSuite, verifyAsync: async (...args) => verify(...args) },
    signer: createSigner,
  };
}
