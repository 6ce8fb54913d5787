/**
 * Which agent a name meant when it was first asked here. Names belong to nobody, so a second agent may announce one
 * that is taken; who was asked under it before stays meant, as a known host does for secure shells.
 */
import { fromUtf8, utf8 } from '../base/bytes.ts';
import type { Store } from '../base/store.ts';

/** Names that are remembered; later ones are not. */
export const KNOWN_NAMES_MAX = 10_000;

/** Names and the DIDs of the agents first asked under them. Upper and lower case are one. */
export interface KnownNames {
  /** DID of the agent that `name` meant first. */
  of(name: string): Promise<string | undefined>;
  /** An agent answered under `name`. Changes nothing for a name that is known. */
  met(name: string, did: string): Promise<void>;
}

/** Known names in `store`, which is this part's own. `max`: how many are kept. */
export function createKnownNames(store: Store, max: number = KNOWN_NAMES_MAX): KnownNames {
  const keyOf = (name: string): Uint8Array => utf8(name.trim().toLowerCase());
  return {
    async of(name) {
      const kept = await store.get(keyOf(name));
      return kept && fromUtf8(kept);
    },
    async met(name, did) {
      const key = keyOf(name);
      if ((await store.get(key)) !== undefined) return;
      let count = 0;
      for await (const _ of store.entries({ limit: max })) count += 1;
      if (count < max) await store.batch([{ type: 'put', key, value: utf8(did) }]);
    },
  };
}
