/**
 * A grant as its reader gets it: what it allows, signed by the owner, and the key of the vault's epoch, sealed to the
 * reader. `spec/knowledge.md` (KNOW-107 to KNOW-110) is normative.
 */
import { concat, equalBytes, utf8 } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import type { PublicKey } from '../protocol/ids.ts';
import { bytes, optional, record, type Schema, text, u32, uint } from '../protocol/schema.ts';
import type { SealKey } from '../protocol/seal.ts';
import { openBox, sealTo } from '../protocol/sealed-box.ts';
import type { Signer } from '../protocol/suite.ts';
import { nativeSuite } from '../protocol/suite-native.ts';
import { type Purpose, purposeList } from './grants.ts';
import { VAULT_EPOCHS_MAX } from './limits.ts';
import { epochBelow, VAULT_KEY_BYTES } from './sealed/key-tree.ts';

const VERSION = 1;
const INFO = utf8('sahara/1/vault-grant');

/** What a grant allows. */
export interface GrantTerms {
  readonly version: number;
  /** Id of the vault, 16 bytes, and its name for people. */
  readonly vault: Uint8Array;
  readonly name: string;
  /** Id of the grant, 16 bytes. */
  readonly id: Uint8Array;
  /** DID's keys of owner and reader. */
  readonly owner: PublicKey;
  readonly reader: PublicKey;
  readonly purposes: readonly Purpose[];
  readonly epoch: number;
  readonly grantedAtMs: number;
  readonly expiresAtMs: number | undefined;
}

const grantTerms: Schema<GrantTerms> = record('vault-grant-terms', {
  version: uint(255),
  vault: bytes(16),
  name: text(64),
  id: bytes(16),
  owner: bytes(32),
  reader: bytes(32),
  purposes: purposeList,
  epoch: u32,
  grantedAtMs: uint(),
  expiresAtMs: optional(uint()),
});

interface UnsignedGrant {
  readonly terms: GrantTerms;
  /** The reader's key that it is sealed to, and the owner's key that signed. */
  readonly sealedTo: PublicKey;
  readonly signer: PublicKey;
  readonly encapsulated: Uint8Array;
  readonly sealed: Uint8Array;
}

type SealedGrant = UnsignedGrant & { readonly signature: Uint8Array };

const unsignedFields = {
  terms: grantTerms,
  sealedTo: bytes(32),
  signer: bytes(32),
  encapsulated: bytes(32),
  sealed: bytes(VAULT_KEY_BYTES + 16),
} as const;
const unsigned: Schema<UnsignedGrant> = record('vault-grant-unsigned', unsignedFields);
const sealedGrant: Schema<SealedGrant> = record('vault-grant', { ...unsignedFields, signature: bytes(64) });

/** Largest encoded grant, bytes. */
export const GRANT_BYTES_MAX = 1024;

/** What a reader got: the key of the grant's epoch, and with it those of all earlier ones. */
export interface OpenedGrant {
  readonly terms: GrantTerms;
  /** The key of an epoch; `undefined` for a later one than the grant's. */
  epochKey(epoch: number): Uint8Array | undefined;
}

/** Whether a key may have signed for a DID: its own, the present one, or one it had before. */
export type SignsFor = (did: PublicKey, key: PublicKey) => boolean;

/** Seals `epochKey` to `sealedTo`, the reader's present key, and signs the whole. Throws `seal-invalid`. */
export async function makeGrant(
  of: { readonly terms: Omit<GrantTerms, 'version'>; readonly sealedTo: PublicKey },
  epochKey: Uint8Array,
  signer: Pick<Signer, 'sign'> & { readonly signing: PublicKey },
): Promise<Uint8Array> {
  const terms = { ...of.terms, version: VERSION };
  const context = { info: INFO, context: grantTerms.encode(terms) };
  const box = await sealTo(of.sealedTo, context, epochKey);
  const fields = { terms, sealedTo: of.sealedTo, signer: signer.signing, ...box };
  const signature = signer.sign(signed(unsigned.encode(fields)));
  return sealedGrant.encode({ ...fields, signature });
}

/**
 * Checks and opens a grant. Throws `grant-refused` in this order: malformed, of another version, for somebody else,
 * signed by somebody else, expired, and not to be opened with the reader's keys.
 */
export async function openGrant(
  encoded: Uint8Array,
  parts: {
    readonly reader: PublicKey;
    readonly nowMs: number;
    readonly signsFor: SignsFor;
    readonly keyOf: (key: PublicKey) => Promise<SealKey>;
  },
): Promise<OpenedGrant> {
  const { terms, sealedTo, signer, signature, ...rest } = readGrant(encoded);
  if (!equalBytes(terms.reader, parts.reader)) throw grantRefused('it was given to somebody else');
  const message = signed(unsigned.encode({ terms, sealedTo, signer, ...rest }));
  if (!parts.signsFor(terms.owner, signer) || !nativeSuite.verify(signer, message, signature)) {
    throw grantRefused('its signature is not the owner’s');
  }
  if (terms.expiresAtMs !== undefined && terms.expiresAtMs <= parts.nowMs) {
    throw grantRefused('its time is over');
  }
  const from = { number: terms.epoch, key: await unseal(sealedTo, terms, rest, parts.keyOf) };
  return {
    terms,
    epochKey: (epoch) => (epoch <= terms.epoch ? epochBelow(from, epoch) : undefined),
  };
}

function readGrant(encoded: Uint8Array): SealedGrant {
  let read: SealedGrant;
  try {
    if (encoded.length > GRANT_BYTES_MAX) throw grantRefused('it is no grant');
    read = sealedGrant.decode(encoded);
  } catch {
    throw grantRefused('it is no grant');
  }
  if (read.terms.version !== VERSION) throw grantRefused('it is of another version');
  if (read.terms.epoch >= VAULT_EPOCHS_MAX) throw grantRefused('it is no grant');
  return read;
}

async function unseal(
  sealedTo: PublicKey,
  terms: GrantTerms,
  box: Pick<SealedGrant, 'encapsulated' | 'sealed'>,
  keyOf: (key: PublicKey) => Promise<SealKey>,
): Promise<Uint8Array> {
  try {
    return await openBox(await keyOf(sealedTo), { info: INFO, context: grantTerms.encode(terms) }, box);
  } catch (error) {
    if (error instanceof SaharaError && !['seal-invalid', 'key-missing'].includes(error.code)) throw error;
    throw grantRefused('the key that it is sealed to is not here');
  }
}

function signed(encoded: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(INFO.length), INFO, encoded);
}

/** Why a grant does not allow what was tried. */
export function grantRefused(reason: string): SaharaError {
  return new SaharaError('grant-refused', { reason });
}
