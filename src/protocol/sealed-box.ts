/**
 * Something small for one reader alone: HPKE (RFC 9180, base mode) with X25519, HKDF-SHA256 and AES-256-GCM, to the
 * X25519 form of the reader's Ed25519 key. It does not say who sealed it; a signature around it does.
 */
import { ed25519 } from '@noble/curves/ed25519.js';
import { AEAD_AES_256_GCM, CipherSuite, KDF_HKDF_SHA256, KEM_DHKEM_X25519_HKDF_SHA256 } from 'hpke';
import { acceptablePoint } from './ed25519.ts';
import type { PublicKey } from './ids.ts';
import type { SealKey } from './seal.ts';
import { sealInvalid } from './sealed-message.ts';

const suite: CipherSuite = new CipherSuite(KEM_DHKEM_X25519_HKDF_SHA256, KDF_HKDF_SHA256, AEAD_AES_256_GCM);

/** What only its reader opens. */
export interface SealedBox {
  /** An ephemeral X25519 key, 32 bytes. */
  readonly encapsulated: Uint8Array;
  /** The ciphertext and its tag of 16 bytes. */
  readonly sealed: Uint8Array;
}

/** What a box is for, and what is authenticated with it. */
export interface BoxContext {
  readonly info: Uint8Array;
  readonly context: Uint8Array;
}

/** Seals `plain` to `reader`. Throws `seal-invalid` for a key that cannot be sealed to. */
export async function sealTo(reader: PublicKey, of: BoxContext, plain: Uint8Array): Promise<SealedBox> {
  const key = await suite.DeserializePublicKey(montgomeryOf(reader));
  const made = await suite.Seal(key, plain, { info: of.info, aad: of.context });
  return { encapsulated: made.encapsulatedSecret, sealed: made.ciphertext };
}

/** What was sealed to `key` under the same info and context. Throws `seal-invalid`. */
export async function openBox(key: SealKey, of: BoxContext, box: SealedBox): Promise<Uint8Array> {
  try {
    const { info, context: aad } = of;
    return await suite.Open(key.pair, box.encapsulated, box.sealed, { info, aad });
  } catch {
    throw sealInvalid('it does not open');
  }
}

function montgomeryOf(reader: PublicKey): Uint8Array {
  try {
    if (acceptablePoint(reader)) return ed25519.utils.toMontgomery(reader);
  } catch {
    // Not a point of the curve: told below.
  }
  throw sealInvalid('not a key to seal to');
}
