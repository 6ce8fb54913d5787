/**
 * The one seam between the vault and what lies on disk: names and terms stand in keys only through `blind`, values
 * only through `seal`. `plainCodec` writes them as they are; an encrypting codec (HMAC and AEAD) fits without any
 * change to the vault, because nothing in it enumerates names or terms by key.
 */
import { concat } from '../base/bytes.ts';
import { sha256 } from './hash.ts';

/** How keys and values are protected at rest. */
export interface VaultCodec {
  /** What stands in a key in place of `plain`: deterministic, at most 64 bytes. `kind` separates name spaces. */
  blind(kind: 'name' | 'term', plain: Uint8Array): Uint8Array;
  /** The stored form of a value; `key` is to be authenticated with it. */
  seal(key: Uint8Array, plain: Uint8Array): Uint8Array;
  /** The value of a stored form; `store-corrupt` when it was altered. */
  open(key: Uint8Array, sealed: Uint8Array): Uint8Array;
}

const BLIND_BYTES_MAX = 64;

/** Nothing is hidden; long names are hashed so that keys stay short. */
export const plainCodec: VaultCodec = {
  blind: (_kind, plain) =>
    plain.length < BLIND_BYTES_MAX ? plain : concat(Uint8Array.of(0xff), sha256(plain)),
  seal: (_key, plain) => plain,
  open: (_key, sealed) => sealed,
};
