import {
  createHash,
  createPrivateKey,
  createPublicKey,
  hash,
  type KeyObject,
  sign as signNative,
  verify as verifyNative,
} from 'node:crypto';
import { invariant } from '../base/errors.ts';
import { createRecent } from '../base/recent.ts';
import { acceptableSignature } from './ed25519.ts';
import { sodium } from './sodium.ts';
import type { Signer, Suite } from './suite.ts';

const KEYS_MAX = 10_000;
const keys = createRecent<KeyObject | null>({ costMax: KEYS_MAX });
const NAME = Buffer.alloc(32);

/** Importing a key costs more than half of a verification, so the last ones stay. */
function importPublicKey(publicKey: Uint8Array): KeyObject | undefined {
  NAME.set(publicKey);
  const name = NAME.toString('latin1');
  const known = keys.get(name);
  if (known !== undefined) return known ?? undefined;
  let key: KeyObject | null;
  try {
    const x = Buffer.from(publicKey).toString('base64url');
    key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  } catch {
    key = null;
  }
  keys.set(name, key);
  return key ?? undefined;
}

const SCRATCH = new Uint8Array(16_384);

const VIEWS_MAX = 1_024;
const views: (Uint8Array | undefined)[] = new Array(VIEWS_MAX).fill(undefined);

/** The first `length` bytes of the scratch space. Making a view takes as long as a third of a short hash, so views stay. */
function scratchOf(length: number): Uint8Array {
  if (length >= VIEWS_MAX) return SCRATCH.subarray(0, length);
  let view = views[length];
  if (view === undefined) {
    view = SCRATCH.subarray(0, length);
    views[length] = view;
  }
  return view;
}

/**
 * A digest that came as text, one character per byte. A digest that comes as bytes has memory of its own outside the
 * heap, which costs four times as much as the hash.
 */
function digestOf(text: string): Uint8Array {
  const digest = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) digest[i] = text.charCodeAt(i);
  return digest;
}

/** node:crypto. The only implementation that decides consensus. */
export const nativeSuite: Suite = {
  sha256(...parts) {
    let length = 0;
    for (const part of parts) length += part.length;
    if (length <= SCRATCH.length) {
      // One call instead of one per part: a hash object costs more than hashing what peers sign.
      let at = 0;
      for (const part of parts) {
        SCRATCH.set(part, at);
        at += part.length;
      }
      return digestOf(hash('sha256', scratchOf(length), 'binary'));
    }
    const long = createHash('sha256');
    for (const part of parts) long.update(part);
    return digestOf(long.digest('binary'));
  },
  verify(publicKey, message, signature) {
    if (!acceptableSignature(publicKey, signature)) return false;
    const key = importPublicKey(publicKey);
    return key !== undefined && verifyNative(null, message, key, signature);
  },
  verifyAsync(publicKey, message, signature) {
    if (!acceptableSignature(publicKey, signature)) return Promise.resolve(false);
    const key = importPublicKey(publicKey);
    if (key === undefined) return Promise.resolve(false);
    return new Promise((resolve, reject) => {
      verifyNative(null, message, key, signature, (error, ok) => (error ? reject(error) : resolve(ok)));
    });
  },
};

/**
 * The same verdicts, sooner, by libsodium where it is there: for what peers say to each other, and never for what a
 * block is made of.
 */
export const swiftSuite: Suite =
  sodium === undefined ? nativeSuite : { ...nativeSuite, verify: sodium.verify };

/** A signer from a 32-byte Ed25519 seed (RFC 8032 private key); what it signs is the same whichever library does. */
export function createSigner(seed: Uint8Array): Signer {
  invariant(seed.length === 32, 'an Ed25519 seed has 32 bytes');
  return sodium === undefined ? nativeSigner(seed) : sodium.signer(seed);
}

/** The same by node:crypto. */
export function nativeSigner(seed: Uint8Array): Signer {
  const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
  const key = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
  const { x } = createPublicKey(key).export({ format: 'jwk' });
  const publicKey = new Uint8Array(Buffer.from(String(x), 'base64url'));
  return { publicKey, sign: (message) => new Uint8Array(signNative(null, message, key)) };
}
