import { formatAmount } from './amount.ts';
import type { ErrorCode } from './errors.ts';

/** A fact as text, or `otherwise` when it is not known. */
export type Fact = (name: string, otherwise?: string) => string;

/** Makes the three sentences about a failure out of its facts: what happened, why, what to do next. */
export type Sentences = (fact: Fact) => readonly [what: string, why: string, next: string];

/** Sentences for some of the codes. */
export type SentenceTable<C extends ErrorCode> = Readonly<Record<C, Sentences>>;

/** Where in a file a fault stands, in brackets, or nothing. */
export function at(fact: Fact): string {
  const line = fact('line');
  const file = fact('path', fact('file'));
  if (line && file) return ` (${file}, line ${line})`;
  if (line) return ` (line ${line})`;
  return file && ` (${file})`;
}

/** A waiting time in whole seconds. */
export function seconds(milliseconds: string): string {
  const value = Number(milliseconds);
  return milliseconds !== '' && Number.isFinite(value) ? `${Math.ceil(value / 1000)} s` : 'a while';
}

/** A time of day in words. */
export function when(milliseconds: string): string {
  const value = Number(milliseconds);
  const inRange = Number.isFinite(value) && Math.abs(value) <= 8.64e15;
  return inRange ? new Date(value).toISOString() : 'unknown';
}

/** The first known of the facts `names`, which are grains, as an amount; `otherwise` when none is known. */
export function money(fact: Fact, names: readonly string[], otherwise: string): string {
  const value = names.map((name) => fact(name)).find((text) => text !== '') ?? otherwise;
  return /^\d{1,30}$/.test(value) ? formatAmount(BigInt(value)) : value;
}
