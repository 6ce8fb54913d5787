/** Transactions with several faults at once, and the order of refusals as the paragraphs of the spec have it. */
import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { RESULT_CODES, type ResultName } from '../../src/ledger/result-codes.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import type { Action } from '../../src/protocol/transaction.ts';
import { runAs } from './identity-support.ts';
import type { Bench } from './support.ts';

const SPEC = readFileSync(new URL('../../spec/ledger.md', import.meta.url), 'utf8');

/** Which paragraph of the spec orders refusals, and from which word on. */
export interface Paragraph {
  readonly paragraph: number;
  readonly from?: string;
}

/** A change that brings one fault, or several. */
export type Fault<D> = readonly [ResultName | readonly ResultName[], Partial<D>];

/** Faults by what each changes of a sound draft. Of those in one group only one can be there at a time. */
export interface Case<D> extends Paragraph {
  readonly kind: Action['type'];
  readonly sound: D;
  readonly groups: readonly (readonly Fault<D>[])[];
  /** Whose key signs, what, and for which DID if not its own. */
  readonly make: (draft: D) => readonly [Signer, Action, Signer?];
}

/** Where a code first stands in a paragraph. */
export function placeOf({ paragraph, from = '**' }: Paragraph, name: ResultName): number {
  const start = SPEC.indexOf(from, SPEC.indexOf(`**LEDGER-${paragraph}**`));
  const end = SPEC.indexOf('\n\n', start);
  const text = SPEC.slice(start, end).replace(/LEDGER-\d+/g, '');
  const found = new RegExp(`(?<![\\d^])${RESULT_CODES[name].code}(?![\\d^])`).exec(text);
  if (found === null) throw new Error(`LEDGER-${paragraph} does not name ${name}`);
  return found.index;
}

/** Every choice of at most one fault of each group. */
export function choices<T>(groups: readonly (readonly T[])[]): readonly (readonly T[])[] {
  return groups.reduce<readonly (readonly T[])[]>(
    (all, group) => all.flatMap((chosen) => [chosen, ...group.map((one) => [...chosen, one])]),
    [[]],
  );
}

/** Whether every choice of faults is refused for the one that the paragraph names first. */
export async function holdsFor<D>(bench: Bench, one: Case<D>): Promise<void> {
  const { kind, sound, groups, make } = one;
  for (const chosen of choices(groups)) {
    const names = chosen.flatMap(([name]) => name);
    if (names.length === 0) continue;
    let draft = sound;
    for (const [, changes] of chosen) draft = { ...draft, ...changes };
    const [first] = names.toSorted((a, b) => placeOf(one, a) - placeOf(one, b));
    const [key, action, did = key] = make(draft);
    const name = await runAs(bench, did, key, action);
    expect(name, `${kind} with ${names.join(', ')}`).toBe(first);
  }
}
