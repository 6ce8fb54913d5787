/** `vault.label`, `vault.unlabel`, `vault.labels`: who may have passages of what in answers. */
import { fromHex, toHex } from '../../base/bytes.ts';
import { didOf } from '../../protocol/ids.ts';
import type { Label } from '../../vault/labels.ts';
import type { Vault } from '../../vault/vault.ts';
import type { AdminHandlers } from '../admin/methods.ts';
import type { LabelRow } from '../admin/methods-vault.ts';
import type { Knowledge } from '../knowledge.ts';
import { keyOf } from './ledger.ts';

/** Who may have passages of what in answers. */
export function vaultLabelHandlers({
  knowledge: { vaults },
}: {
  readonly knowledge: Knowledge;
}): Pick<AdminHandlers, 'vault.label' | 'vault.unlabel' | 'vault.labels'> {
  return {
    async 'vault.label'({ vault: name, place, granted, readers, licences, untilMs }) {
      const vault = await vaults.open(name);
      const label: Label = {
        place,
        granted,
        readers: readers.map(keyOf),
        licences: licences.flatMap((id) => fromHex(id) ?? []),
        untilMs,
      };
      await vault.quiet(() => vault.labels.put(label));
      await noted(vault, 'label');
      return rowOf(label, (await countsOf(vault)).get(place));
    },
    async 'vault.unlabel'({ vault: name, place }) {
      const vault = await vaults.open(name);
      const dropped = await vault.quiet(() => vault.labels.drop(place));
      if (dropped) await noted(vault, 'unlabel');
      return { dropped };
    },
    async 'vault.labels'({ vault: name }) {
      const vault = await vaults.open(name);
      const counts = await countsOf(vault);
      return vault.labels.list().map((label) => rowOf(label, counts.get(label.place)));
    },
  };
}

function noted(vault: Vault, action: string): Promise<void> {
  return vault.accesses.add({ who: 'operator', action, purpose: 'answer', count: 1, about: '' });
}

/** For how many documents each label counts, by its place. */
async function countsOf(vault: Vault): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>();
  if (vault.labels.list().length === 0) return counts;
  for await (const { names } of vault.documents()) {
    const places = new Set(names.flatMap((name) => vault.labels.of(name)?.place ?? []));
    for (const place of places) counts.set(place, (counts.get(place) ?? 0) + 1);
  }
  return counts;
}

function rowOf(label: Label, documents = 0): LabelRow {
  const { place, granted, readers, licences, untilMs } = label;
  return {
    ...{ place, granted, readers: readers.map(didOf), licences: licences.map(toHex), documents },
    ...(untilMs !== undefined && { untilMs }),
  };
}
