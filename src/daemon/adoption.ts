/**
 * Has a home act for another DID: one whose keys were lost and that its guardians gave to a key of this home. What the
 * home is changes in one write, and with the next start; nothing that belongs to the DID before is touched, so the home
 * can go back to it.
 */
import { equalBytes } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import { didOf, type PublicKey } from '../protocol/ids.ts';
import type { AdoptionReply } from './admin/types-identity.ts';
import { type IdentityParts, identityNow } from './identity.ts';

/**
 * Has this home act for `did` from its next start on. Throws `usage` when it acts for it already, orders the ledger or
 * has channels that nobody would look after; `key-missing` when the key that signs for `did` is not kept here.
 */
export async function adopt(
  parts: IdentityParts,
  did: PublicKey,
  options: { readonly signal: AbortSignal },
): Promise<AdoptionReply> {
  const { key: own, keys, ledger, wallet } = parts;
  const left = own.publicKey;
  if (equalBytes(did, left)) throw refused(`This home acts for ${didOf(did)} already`);
  const { sequencer } = ledger.genesis;
  if ([did, left].some((one) => equalBytes(one, sequencer))) {
    throw refused('Who orders the ledger signs its blocks with the key that the genesis names, and stays');
  }
  const known = await identityNow(ledger, did);
  const signing = known?.key ?? did;
  const here = (await keys.operatorKeys()).some((one) => equalBytes(one, signing));
  if (!here) {
    throw new SaharaError('key-missing', {
      name: `the key that signs for ${didOf(did)}`,
      path: 'the folder keys',
    });
  }
  // While nothing of the DID before is under way, and nothing begins.
  return wallet.rotate(async () => {
    const channels = ledger.channelsOf(left).length;
    if (channels > 0) {
      throw refused(
        `${didOf(left)} has channels (${channels}) that nobody would look after: close them first (sahara channel close)`,
      );
    }
    await keys.adopt({ did, key: signing });
    return { did: didOf(did), key: didOf(signing), left: didOf(left), leftBalance: String(wallet.balance()) };
  }, options);
}

function refused(reason: string): SaharaError {
  return new SaharaError('usage', { reason });
}
