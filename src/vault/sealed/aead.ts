/** AES-256-GCM with a random nonce in front and the tag behind: `nonce(12) ciphertext tag(16)`. */
import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from 'node:crypto';
import type { Dice } from '../../base/random.ts';

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Bytes of a sealed value beyond the plain one. */
export const SEALED_EXTRA_BYTES: number = NONCE_BYTES + TAG_BYTES;

/** `plain` sealed under `key` (32 bytes); `context` is authenticated with it. */
export function seal(key: Uint8Array, context: Uint8Array, plain: Uint8Array, dice: Dice): Uint8Array {
  const nonce = dice.bytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', prepared(key), nonce);
  cipher.setAAD(context);
  const sealed = new Uint8Array(plain.length + SEALED_EXTRA_BYTES);
  sealed.set(nonce);
  sealed.set(cipher.update(plain), NONCE_BYTES);
  cipher.final();
  sealed.set(cipher.getAuthTag(), NONCE_BYTES + plain.length);
  return sealed;
}

/** What `seal` sealed; `undefined` when the key or the context is another, or a bit was changed. */
export function open(key: Uint8Array, context: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
  if (sealed.length < SEALED_EXTRA_BYTES) return undefined;
  const end = sealed.length - TAG_BYTES;
  const decipher = createDecipheriv('aes-256-gcm', prepared(key), sealed.subarray(0, NONCE_BYTES), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(context);
  decipher.setAuthTag(sealed.subarray(end));
  try {
    const plain = decipher.update(sealed.subarray(NONCE_BYTES, end));
    decipher.final();
    return new Uint8Array(plain.buffer, plain.byteOffset, plain.length);
  } catch {
    return undefined;
  }
}

const known = new WeakMap<Uint8Array, KeyObject>();

/** The key as the library wants it: making that anew each time costs more than sealing a passage. */
function prepared(key: Uint8Array): KeyObject {
  const kept = known.get(key) ?? createSecretKey(key);
  known.set(key, kept);
  return kept;
}
