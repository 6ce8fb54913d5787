/**
 * What a person with a home of their own allows a bridge. The bridge makes a code for one user of one platform; the
 * person's home answers it with a grant that the person's key signed: who, how much for a call, a day and in all, and until
 * when. A code is answered once.
 */
import { SaharaError } from '../../base/errors.ts';
import type { PublicKey } from '../../protocol/ids.ts';
import { bytes, grains, record, type Schema, text, uint } from '../../protocol/schema.ts';
import { type Signed, signed } from '../../protocol/signing.ts';

/** What a bridge asks a person's home to answer. */
export interface LinkCode {
  readonly version: number;
  readonly network: string;
  /** The bridge's operator. */
  readonly bridge: PublicKey;
  /** `telegram:12345`. */
  readonly user: string;
  /** 16 bytes. */
  readonly nonce: Uint8Array;
}

/** The answer. Amounts in grains. */
export interface LinkGrant extends LinkCode {
  /** Who grants. */
  readonly did: PublicKey;
  /** Most for one call, for a UTC day, and in all. */
  readonly callMax: bigint;
  readonly dayMax: bigint;
  readonly max: bigint;
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
}

/** Type under which a grant is signed. */
export const GRANT_TYPE = 'bridge-grant';
/** Version of codes and grants. */
export const LINK_VERSION = 1;

const asked = {
  version: uint(255),
  network: text(128),
  bridge: bytes(32),
  user: text(64),
  nonce: bytes(16),
} as const;

const linkCode: Schema<LinkCode> = record('bridge-link-code', asked);

/** The canonical form of a grant, and its stored one. */
export const linkGrant: Schema<LinkGrant> = record('bridge-grant', {
  ...asked,
  did: bytes(32),
  callMax: grains,
  dayMax: grains,
  max: grains,
  issuedAtMs: uint(),
  expiresAtMs: uint(),
});

/** A code as text. */
export function codeText(code: LinkCode): string {
  return Buffer.from(linkCode.encode(code)).toString('base64url');
}

/** The code in a text. Throws `malformed`. */
export function readCode(code: string): LinkCode {
  return versioned(linkCode.decode(fromText(code)));
}

/** A signed grant as text. */
export function grantText(grant: Signed): string {
  return Buffer.from(signed.encode(grant)).toString('base64url');
}

/** The signed grant in a text, its signature unchecked. Throws `malformed`. */
export function readGrant(grant: string): { readonly message: Signed; readonly grant: LinkGrant } {
  const message = signed.decode(fromText(grant));
  return { message, grant: versioned(linkGrant.decode(message.payload)) };
}

function versioned<T extends LinkCode>(read: T): T {
  if (read.version === LINK_VERSION) return read;
  throw new SaharaError('malformed', { reason: `version ${read.version}` });
}

function fromText(code: string): Uint8Array {
  if (!/^[\w-]{8,4096}$/.test(code.trim())) throw new SaharaError('malformed', { reason: 'no code' });
  return new Uint8Array(Buffer.from(code.trim(), 'base64url'));
}
