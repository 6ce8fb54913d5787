/** What of a model's words a caller gets: as many units as it asked for. */
import type { UnitCounter } from '../../protocol/units.ts';
import type { AnswerPart } from './backend.ts';

/** Keeps what fits into the caller's units; text beyond is dropped with the citations behind it. */
export function keepUnits(
  parts: readonly AnswerPart[],
  output: UnitCounter,
  unitsMax: number,
): { readonly parts: readonly AnswerPart[]; readonly full: boolean } {
  const kept: AnswerPart[] = [];
  for (const part of parts) {
    if (part.type !== 'text') {
      kept.push(part);
      continue;
    }
    const taken = output.take(part.text, unitsMax);
    if (taken > 0) kept.push({ type: 'text', text: part.text.slice(0, taken) });
    if (taken < part.text.length) return { parts: kept, full: true };
  }
  return { parts: kept, full: false };
}
