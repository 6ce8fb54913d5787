/**
 * The suite in plain JavaScript (noble), for browsers and the standalone verifier. The library's own `verify`
 * multiplies by the cofactor and so accepts signatures that node:crypto refuses; the equation here is the one
 * without it, `encode(S·B - k·A) = R` (RFC 8032 section 5.1.7, and what OpenSSL computes).
 */
import { ed25519 } from '@noble/curves/ed25519.js';
import { sha256, sha512 } from '@noble/hashes/sha2.js';
import { equalBytes } from '../base/bytes.ts';
import { acceptableSignature, ED25519_ORDER, fromLittleEndian } from './ed25519.ts';
import type { Suite } from './suite.ts';

function verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (!acceptableSignature(publicKey, signature)) return false;
  const r = signature.subarray(0, 32);
  const s = fromLittleEndian(signature.subarray(32));
  let key: ReturnType<typeof ed25519.Point.fromBytes>;
  try {
    key = ed25519.Point.fromBytes(publicKey);
  } catch {
    return false;
  }
  const hash = sha512.create().update(r).update(publicKey).update(message).digest();
  const k = fromLittleEndian(hash) % ED25519_ORDER;
  const found = ed25519.Point.BASE.multiplyUnsafe(s).subtract(key.multiplyUnsafe(k));
  return equalBytes(found.toBytes(), r);
}

/** noble. Gives the same verdicts as the native suite and needs nothing of Node; never decides consensus. */
export const portableSuite: Suite = {
  sha256(...parts) {
    const hash = sha256.create();
    for (const part of parts) hash.update(part);
    return hash.digest();
  },
  verify,
  verifyAsync: async (publicKey, message, signature) => verify(publicKey, message, signature),
};
