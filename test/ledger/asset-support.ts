/** An asset as tests register it, where what it is does not matter. */
import type { Signer } from '../../src/protocol/suite.ts';
import type { RegisterAssetAction } from '../../src/protocol/transaction.ts';

/** A dataset that is all `owner`'s, but for `changes`. */
export function datasetOf(owner: Signer, changes: Partial<RegisterAssetAction> = {}): RegisterAssetAction {
  return {
    type: 'register-asset',
    kind: 'dataset',
    name: 'grain store',
    owners: [{ owner: owner.publicKey, ppm: 1_000_000 }],
    parents: [],
    commitment: { scheme: 'sahara-chunks-1', root: new Uint8Array(32), sizeBytes: 1 },
    licence: '',
    terms: undefined,
    replaces: undefined,
    bounty: 0,
    ...changes,
  };
}
