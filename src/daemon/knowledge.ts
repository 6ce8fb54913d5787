/** The vaults of this home and what their contributors earn through. */
import type { PublicKey } from '../protocol/ids.ts';
import type { Provenance } from '../vault/chunk.ts';
import type { AssetBook } from './assets.ts';
import type { Watching } from './vault-watching.ts';
import type { VaultKeeper } from './vaults.ts';

/** Vaults with the assets behind them. */
export interface Knowledge {
  readonly vaults: VaultKeeper;
  /** The folders that they follow. */
  readonly watching: Watching;
  /** What documents of `contributor` in a vault carry: who, under which terms, and the asset that earns for them. */
  provenance(
    of: { readonly vault: string; readonly contributor: PublicKey; readonly licence: string },
    options: { readonly signal: AbortSignal },
  ): Promise<Provenance>;
}

/** Knowledge over the vaults of a home. Registering a contributor's asset throws what the ledger throws. */
export function createKnowledge(parts: {
  readonly vaults: VaultKeeper;
  readonly watching: Watching;
  readonly assets: AssetBook;
}): Knowledge {
  return {
    vaults: parts.vaults,
    watching: parts.watching,
    async provenance(of, options) {
      const contribution = await parts.assets.contribution(of, options);
      return { contributor: of.contributor, contribution, licence: of.licence };
    },
  };
}
