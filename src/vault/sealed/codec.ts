/** The codec that leaves nothing readable on disk: names and terms stand blinded in keys, values sealed. */
import { createHmac, createSecretKey } from 'node:crypto';
import { SaharaError } from '../../base/errors.ts';
import type { Dice } from '../../base/random.ts';
import type { VaultCodec } from '../codec.ts';
import { SEGMENT_TAGS } from '../keys.ts';
import { open, seal } from './aead.ts';
import { derive, indexKey, type VaultKeys } from './key-tree.ts';

const BLIND_BYTES = 16;

/** Seals by the keys of one vault. What does not open is `store-corrupt`. */
export function sealedCodec(parts: { readonly keys: VaultKeys; readonly dice: Dice }): VaultCodec {
  const { keys, dice } = parts;
  // Keys as the library wants them: making them anew each time costs more than the hash.
  const blinding = {
    name: createSecretKey(keys.names),
    term: createSecretKey(derive(indexKey(keys), 'terms')),
  };
  const ofIndex = derive(indexKey(keys), 'index-records');
  const indexTags = new Set(SEGMENT_TAGS.map(([tag]) => tag));
  const keyFor = (key: Uint8Array): Uint8Array => (indexTags.has(key[0]) ? ofIndex : keys.records);
  return {
    blind: (kind, plain) =>
      new Uint8Array(createHmac('sha256', blinding[kind]).update(plain).digest().subarray(0, BLIND_BYTES)),
    seal: (key, plain) => seal(keyFor(key), key, plain, dice),
    open(key, sealed) {
      const plain = open(keyFor(key), key, sealed);
      if (plain === undefined) throw notSound();
      return plain;
    },
  };
}

/** A record that does not open under the keys of its vault. */
export function notSound(): SaharaError {
  return new SaharaError('store-corrupt', {
    reason: 'a sealed record does not open: it was altered, or the key of the vault is another',
    advice:
      'bring back the key of the vault (keys/vault.NAME.json), or import the documents into a new vault',
  });
}
