/**
 * Who may use an asset. A licence that was bought and counts now gives the access that its registrant would otherwise
 * have to certify: the capability `read:dataset/<id>`.
 */
import { equalBytes, toHex } from '../base/bytes.ts';
import { asSaharaError } from '../base/errors.ts';
import type { Ledger, LedgerHead } from '../ledger/ledger.ts';
import type { Hash, PublicKey } from '../protocol/ids.ts';
import type { CertificateBook } from './certificates.ts';

/** What access is decided by. */
export interface AccessParts {
  readonly ledger: Pick<Ledger, 'asset' | 'licenceOf'> & { head(): Pick<LedgerHead, 'height'> };
  /** This operator, and what it certified. */
  readonly operator: PublicKey;
  readonly certificates: Pick<CertificateBook, 'allows'>;
}

/** The capability to use an asset. */
export function readCapability(asset: Hash): string {
  return `read:dataset/${toHex(asset)}`;
}

/**
 * Whether `caller` may use `asset`, as the ledger's last block has it: as its registrant or an owner, by a licence that
 * counts, or by a certificate of this operator, where it registered the asset, that covers it and was not taken back. A
 * ledger that does not have the records lets nobody in.
 */
export function mayUse(parts: AccessParts, asset: Hash, caller: PublicKey): boolean {
  const { ledger, operator, certificates } = parts;
  try {
    const known = ledger.asset(asset);
    if (known === undefined) return false;
    const { registrant, owners } = known;
    if ([registrant, ...owners.map(({ owner }) => owner)].some((key) => equalBytes(key, caller))) return true;
    const { grant } = ledger.licenceOf(asset, caller);
    if (grant !== undefined && (grant.endsAt === 0 || ledger.head().height < grant.endsAt)) return true;
    const subject = { kind: 'key', id: caller } as const;
    return equalBytes(registrant, operator) && certificates.allows(subject, readCapability(asset));
  } catch (error) {
    if (asSaharaError(error).code === 'state-unproven') return false;
    throw error;
  }
}
