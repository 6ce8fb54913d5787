/**
 * Which documents of a vault a caller may have passages of in answers: by the labels and grants of the vault. What is
 * made of that is the same function for all who may have the same, so that a search makes one view for them together.
 */
import { toHex } from '../base/bytes.ts';
import type { DocumentRecord } from './document.ts';
import { standingOf } from './grants.ts';
import { type LabelReader, type LabelRight, rightOf } from './labels.ts';
import { VIEWS_MAX } from './limits.ts';
import type { Visibility } from './search/view.ts';
import type { Vault } from './vault.ts';

/** What a vault decides by. */
type Deciding = Pick<Vault, 'labels' | 'grants' | 'epochOf'>;

/** Who asks. */
export interface Asking {
  /** The key of their DID. */
  readonly caller: Uint8Array;
  readonly nowMs: number;
  readonly licensed: (asset: Uint8Array, caller: Uint8Array) => boolean;
}

/** Of each vault and each set of rights one function, the ones used longest ago going first. */
const kept = new WeakMap<Deciding, Map<string, Visibility>>();

/** What `asking` may have passages of; `undefined` where that is everything. */
export function visibleTo(vault: Deciding, asking: Asking): Visibility | undefined {
  const labels = vault.labels.list();
  if (labels.length === 0) return undefined;
  const reader: LabelReader = {
    key: asking.caller,
    nowMs: asking.nowMs,
    grantedEpoch: grantedEpoch(vault, asking),
    licensed: (asset) => asking.licensed(asset, asking.caller),
  };
  const rights = new Map(labels.map((label) => [label.place, rightOf(label, reader)]));
  if ([...rights.values()].every((right) => right === 'all')) return undefined;
  const told = [...rights.values()].map((right) => (typeof right === 'string' ? right : right.epoch));
  const key = `${vault.labels.version} ${told.join()}`;
  const views = kept.get(vault) ?? new Map<string, Visibility>();
  kept.set(vault, views);
  const view = views.get(key) ?? visibility(vault, rights);
  views.delete(key);
  views.set(key, view);
  for (const old of views.keys()) {
    if (views.size <= VIEWS_MAX) break;
    views.delete(old);
  }
  return view;
}

/** Whether a document is for everybody. */
export function isOpen(vault: Pick<Deciding, 'labels'>, { names }: Pick<DocumentRecord, 'names'>): boolean {
  return names.every((name) => vault.labels.of(name) === undefined);
}

function visibility(vault: Deciding, rights: ReadonlyMap<string, LabelRight>): Visibility {
  return async (document) => {
    let epochMax = Number.POSITIVE_INFINITY;
    for (const name of document.names) {
      const label = vault.labels.of(name);
      // One that was put there since stands for what it hides.
      const right = label === undefined ? 'all' : (rights.get(label.place) ?? 'none');
      if (right === 'none') return false;
      if (right !== 'all') epochMax = Math.min(epochMax, right.epoch);
    }
    return epochMax === Number.POSITIVE_INFINITY || (await vault.epochOf(document)) <= epochMax;
  };
}

function grantedEpoch({ grants }: Deciding, { caller, nowMs }: Asking): number | undefined {
  const key = toHex(caller);
  const counting = grants
    .list()
    .filter(
      (grant) =>
        toHex(grant.reader) === key &&
        grant.purposes.includes('answer') &&
        standingOf(grant, nowMs) === 'active',
    );
  return counting.length === 0 ? undefined : Math.max(...counting.map(({ epoch }) => epoch));
}
