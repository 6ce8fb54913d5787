/**
 * Keys at the time of a claim (ID-38). The evidence of a call holds for ever if it says which keys signed for the parties when
 * the claim was made; the ledger proves that for as long as a channel takes to end after a rotation and no longer. So it is
 * proved when a block shows the claim, and kept: only of parties who rotated, and once for as long as nobody of them does.
 */
import { equalBytes, toHex, u64be } from '../base/bytes.ts';
import type { Log } from '../base/log.ts';
import type { Store, StoreOperation } from '../base/store.ts';
import type { OwnClaim } from '../payment/claims-seen.ts';
import { blockHeader } from '../protocol/block.ts';
import type { Hash, PublicKey } from '../protocol/ids.ts';
import { type KeyEvidence, keyEvidence } from '../protocol/key-evidence.ts';

/**
 * Heights at which keys are kept for one channel, and in all; the oldest leave. Where others than the parties sent claims,
 * which anybody may, theirs leave first.
 */
const PER_CHANNEL_MAX = 16;
const IN_ALL_MAX = 4_096;

/** What keys are kept with. */
export interface ClaimKeysParts {
  readonly log: Log;
  /** This part has the store for itself. */
  readonly store: Store;
  /** The parties of a channel that is paid from here. */
  partiesOf(channel: Hash): readonly PublicKey[];
  /** The present keys of those who do not sign with their first any more; `undefined` when that is nobody. */
  prove(dids: readonly PublicKey[]): Promise<KeyEvidence | undefined>;
}

/** Keys at the time of claims. */
export interface ClaimKeys {
  /** Keeps the keys of the parties of a claim and of its sender, if they are others than those that are kept. */
  note(claim: OwnClaim): Promise<void>;
  /** All that is kept for a channel, the oldest first. */
  of(channel: Hash): Promise<readonly KeyEvidence[]>;
}

/** The keys kept in `parts.store`. */
export async function openClaimKeys(parts: ClaimKeysParts): Promise<ClaimKeys> {
  const { store } = parts;
  const kept: Kept[] = [];
  for await (const [key, value] of store.entries()) kept.push(keptAs(key.slice(), keyEvidence.decode(value)));
  kept.sort((a, b) => a.height - b.height);
  const ofChannel = (channel: Hash): Kept[] =>
    kept.filter(({ key }) => equalBytes(key.subarray(0, 32), channel));
  const isForeign = (channel: Hash, { dids }: Kept): boolean => {
    const parties = parts.partiesOf(channel);
    return dids.some((did) => !parties.some((party) => equalBytes(party, did)));
  };
  return {
    async note({ channel, sender }) {
      const dids = [...parts.partiesOf(channel), sender];
      const once = [...new Map(dids.map((did) => [toHex(did), did])).values()];
      const evidence = await parts.prove(once);
      if (evidence === undefined) return;
      const { height } = blockHeader.decode(evidence.header.payload);
      const next = keptAs(placeOf(channel, height), evidence);
      const known = ofChannel(channel);
      if (known.some(({ said }) => said === next.said)) return;
      const foreign = known.filter((one) => isForeign(channel, one));
      const leaving = [...foreign, ...known.filter((one) => !foreign.includes(one))];
      const gone = leaving.slice(0, Math.max(0, known.length + 1 - PER_CHANNEL_MAX));
      gone.push(...kept.slice(0, Math.max(0, kept.length + 1 - gone.length - IN_ALL_MAX)));
      const operations: StoreOperation[] = gone.map(({ key }) => ({ type: 'del', key }));
      operations.push({ type: 'put', key: next.key, value: keyEvidence.encode(evidence) });
      await store.batch(operations, { sync: true });
      for (const one of gone) if (kept.includes(one)) kept.splice(kept.indexOf(one), 1);
      kept.push(next);
      parts.log.debug('kept the keys of a claim', { channel: toHex(channel), height });
    },
    async of(channel) {
      const found: KeyEvidence[] = [];
      for (const { key } of ofChannel(channel)) {
        const value = await store.get(key);
        if (value !== undefined) found.push(keyEvidence.decode(value));
      }
      return found;
    },
  };
}

function placeOf(channel: Hash, height: number): Uint8Array {
  const place = new Uint8Array(channel.length + 8);
  place.set(channel);
  place.set(u64be(BigInt(height)), channel.length);
  return place;
}

interface Kept {
  readonly key: Uint8Array;
  readonly height: number;
  /** Whose keys it has. */
  readonly dids: readonly PublicKey[];
  readonly said: string;
}

function keptAs(key: Uint8Array, { header, identities }: KeyEvidence): Kept {
  const said = identities
    .map(({ did, record }) => `${toHex(did)} ${toHex(record.key)}`)
    .sort()
    .join('\n');
  const dids = identities.map(({ did }) => did.slice());
  return { key, height: blockHeader.decode(header.payload).height, dids, said };
}
