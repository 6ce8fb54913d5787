/** Makes the key evidence of a bundle from a ledger that this node keeps, or that it asks as a light client. */
import type { Hash, PublicKey } from '../protocol/ids.ts';
import type { KeyEvidence, ProvedKeys } from '../protocol/key-evidence.ts';
import { KEY_EVIDENCE_DIDS_MAX } from '../protocol/limits.ts';
import { identityKey } from './identities.ts';
import type { Ledger } from './ledger.ts';
import { CHANNELS, stateKey } from './records.ts';
import { IDENTITIES } from './records-identity.ts';

/**
 * The keys of those of the first 128 of `dids` that are registered, all at one height; `undefined` when none is.
 * `dids` names each once. Rejects like `Ledger.prove`.
 */
export async function keyEvidenceOf(
  ledger: Pick<Ledger, 'prove'>,
  dids: readonly PublicKey[],
  options: { readonly signal?: AbortSignal } = {},
): Promise<KeyEvidence | undefined> {
  if (dids.length === 0) return undefined;
  const asked = dids.slice(0, KEY_EVIDENCE_DIDS_MAX);
  const { header, entries } = await ledger.prove(asked.map(identityKey), options);
  const identities = asked.flatMap((did, i): readonly ProvedKeys[] => {
    const entry = entries[i];
    if (entry?.value === undefined) return [];
    return [{ did, record: IDENTITIES.schema.decode(entry.value), proof: entry.proof }];
  });
  // Before the first block nobody is registered.
  return header === undefined || identities.length === 0 ? undefined : { header, identities };
}

/** The record of a channel, which names its voucher keys, now; `undefined` when there is none. Rejects like `Ledger.prove`. */
export async function channelEvidenceOf(
  ledger: Pick<Ledger, 'prove'>,
  channel: Hash,
  options: { readonly signal?: AbortSignal } = {},
): Promise<KeyEvidence | undefined> {
  const { header, entries } = await ledger.prove([stateKey(CHANNELS, channel)], options);
  const [entry] = entries;
  if (header === undefined || entry?.value === undefined) return undefined;
  const proved = { channel, record: CHANNELS.schema.decode(entry.value), proof: entry.proof };
  return { header, identities: [], channels: [proved] };
}
