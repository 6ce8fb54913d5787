/**
 * Ed25519 by libsodium, which takes less than half the time of node:crypto's: three checks and three signatures stand
 * one behind the other in a paid call made alone (`docs/decisions/0006-no-disk-on-the-path.md`). Behind the same filter
 * (`ed25519.ts`) both compute the equation without the cofactor, so they give the same verdicts; a test holds them
 * against each other. Consensus is decided by node:crypto all the same, and where the native part is missing, as on a
 * platform without one, node:crypto does everything.
 */
import { createRequire } from 'node:module';
import { acceptableSignature } from './ed25519.ts';
import type { Signer } from './suite.ts';

/** The functions of the library that are used here; it comes without types. */
interface Library {
  crypto_sign_seed_keypair(publicKey: Uint8Array, secretKey: Uint8Array, seed: Uint8Array): void;
  crypto_sign_detached(signature: Uint8Array, message: Uint8Array, secretKey: Uint8Array): void;
  crypto_sign_verify_detached(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean;
}

/** Ed25519 as one library computes it. */
export interface Ed25519 {
  /** Strict: canonical A, R and S, no small-order A or R. False for anything malformed. */
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  /** A signer from a 32-byte seed. */
  signer(seed: Uint8Array): Signer;
}

/** libsodium; `undefined` where it does not load. */
export const sodium: Ed25519 | undefined = load();

function load(): Ed25519 | undefined {
  const require = createRequire(import.meta.url);
  let library: Library;
  try {
    // The package comes without types; a test holds what it computes against the other suites.
    library = require('sodium-native') as Library;
  } catch {
    return undefined;
  }
  return {
    verify: (publicKey, message, signature) =>
      acceptableSignature(publicKey, signature) &&
      library.crypto_sign_verify_detached(signature, message, publicKey),
    signer(seed) {
      const publicKey = new Uint8Array(32);
      const secretKey = new Uint8Array(64);
      library.crypto_sign_seed_keypair(publicKey, secretKey, seed);
      return {
        publicKey,
        sign(message) {
          const signature = new Uint8Array(64);
          library.crypto_sign_detached(signature, message, secretKey);
          return signature;
        },
      };
    },
  };
}
