/**
 * The keys of one vault, all derived from its one secret, which lies in the home's key store and nowhere else. What a
 * key protects, its label says. Keys of epochs form a chain: from one all earlier ones follow by hashing and no later
 * one does, so whoever was given the key of an epoch reads what was kept up to it and nothing that came after.
 * `spec/knowledge.md` (KNOW-100 to KNOW-103) is normative.
 */
import { hkdfSync } from 'node:crypto';
import { concat, u32be, utf8 } from '../../base/bytes.ts';
import { invariant } from '../../base/errors.ts';
import { domainSha256 } from '../hash.ts';
import { VAULT_EPOCHS_MAX } from '../limits.ts';

/** Bytes of every key here. */
export const VAULT_KEY_BYTES = 32;

/** The keys of one vault. */
export interface VaultKeys {
  /** Name of the vault for those who hold something of it, 16 bytes; says nothing about its keys. */
  readonly id: Uint8Array;
  /** Seals records about documents and about the vault itself. */
  readonly records: Uint8Array;
  /** Blinds names of documents. */
  readonly names: Uint8Array;
  /** Everything of the search index hangs below it; see `indexKey`. */
  readonly index: Uint8Array;
  /** The key of an epoch, 0 to `VAULT_EPOCHS_MAX` - 1; see `epochsBelow`. */
  epoch(number: number): Uint8Array;
}

/** 32 bytes by HKDF-SHA256 (RFC 5869) of `key` without salt, under the info `sahara/1/vault/<label>`. */
export function derive(key: Uint8Array, label: string): Uint8Array {
  return new Uint8Array(
    hkdfSync('sha256', key, new Uint8Array(0), utf8(`sahara/1/vault/${label}`), VAULT_KEY_BYTES),
  );
}

/** The keys of the vault whose secret this is (32 bytes). */
export function vaultKeys(secret: Uint8Array): VaultKeys {
  invariant(secret.length === VAULT_KEY_BYTES, 'a vault secret has 32 bytes');
  const last = derive(secret, 'epochs');
  let known = { number: VAULT_EPOCHS_MAX - 1, key: last };
  return {
    id: derive(secret, 'id').subarray(0, 16),
    records: derive(secret, 'records'),
    names: derive(secret, 'names'),
    index: derive(secret, 'index'),
    epoch(number) {
      invariant(number >= 0 && number < VAULT_EPOCHS_MAX, 'a number of an epoch');
      // Epochs rise one by one and rarely: remembering the last one asked for spares the long way down.
      const from = known.number >= number ? known : { number: VAULT_EPOCHS_MAX - 1, key: last };
      known = { number, key: epochBelow(from, number) };
      return known.key;
    },
  };
}

/** The key of the search index: terms are blinded and its records sealed by what is derived from it. */
export function indexKey(keys: Pick<VaultKeys, 'index'>): Uint8Array {
  return keys.index;
}

/** The key of the earlier or equal epoch `number`, from the key of another: each is the hash of the one after it. */
export function epochBelow(
  from: { readonly number: number; readonly key: Uint8Array },
  number: number,
): Uint8Array {
  invariant(number >= 0 && number <= from.number, 'an earlier epoch');
  let { key } = from;
  for (let at = from.number; at > number; at--) key = domainSha256('sahara/1/vault/epoch', key);
  return key;
}

/** The key that wraps the keys of items kept in an epoch. */
export function wrappingKey(epochKey: Uint8Array): Uint8Array {
  return derive(epochKey, 'items');
}

/** What is authenticated with the wrapped key of an item: where it stands and the epoch that it belongs to. */
export function wrappingContext(place: Uint8Array, epoch: number): Uint8Array {
  return concat(place, u32be(epoch));
}
