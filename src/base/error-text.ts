/**
 * What a person reads about a failure: what happened, why, and what to do next. The table has every code, so a
 * new one does not compile without its sentences. Facts come from peers too, so everything unprintable in them
 * is removed before it reaches a terminal or a chat.
 */
import type { ErrorCode, ErrorFacts, SaharaError } from './errors.ts';
import type { Sentences } from './sentence.ts';
import {
  ENVIRONMENT_SENTENCES,
  KNOWLEDGE_SENTENCES,
  LEDGER_SENTENCES,
  OTHER_SENTENCES,
} from './sentences-local.ts';
import { CALL_SENTENCES, WIRE_SENTENCES } from './sentences-peers.ts';

/** The three parts of an explanation; each is one short sentence. */
export interface ErrorText {
  /** What happened. */
  readonly what: string;
  /** Why, as far as it is known. */
  readonly why: string;
  /** What to do next. */
  readonly next: string;
}

const TEXTS: Readonly<Record<ErrorCode, Sentences>> = {
  ...ENVIRONMENT_SENTENCES,
  ...WIRE_SENTENCES,
  ...CALL_SENTENCES,
  ...KNOWLEDGE_SENTENCES,
  ...LEDGER_SENTENCES,
  ...OTHER_SENTENCES,
};

const FACT_CHARACTERS_MAX = 300;
/** Facts that are spelt as they are, also where a sentence begins with them. */
const NAMING_FACTS: ReadonlySet<string> = new Set(['agent', 'document', 'file', 'name', 'path', 'vault']);

/** The three sentences about `error`. */
export function errorText(error: Pick<SaharaError, 'code' | 'facts'>): ErrorText {
  const names: string[] = [];
  const [what, why, next] = TEXTS[error.code]((name, otherwise = '') => {
    const value = Object.hasOwn(error.facts, name) ? printable(error.facts[name]) : '';
    if (value !== '' && NAMING_FACTS.has(name)) names.push(value);
    return value === '' ? otherwise : value;
  });
  return { what: tidy(what, names), why: tidy(why, names), next: tidy(next, names) };
}

/** What happened, why, and what to do next, in one paragraph. */
export function explainError(error: Pick<SaharaError, 'code' | 'facts'>): string {
  const { what, why, next } = errorText(error);
  return `${what} ${why} ${next}`;
}

function printable(value: ErrorFacts[string] | undefined): string {
  const text = Array.isArray(value) ? value.join(', ') : String(value ?? '');
  const safe = text.replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]+/gu, ' ').trim();
  return safe.length > FACT_CHARACTERS_MAX ? `${safe.slice(0, FACT_CHARACTERS_MAX)}…` : safe;
}

/** Closes the gaps that unknown facts leave, and begins each sentence with a capital unless a name or a DID stands there. */
function tidy(sentence: string, names: readonly string[]): string {
  const closed = sentence
    .replace(/ {2,}/g, ' ')
    .replace(/ +([.,:;)])/g, '$1')
    .replace(/([.!?])\.$/, '$1');
  if (/^did:/.test(closed) || names.some((name) => sentence.startsWith(`${name} `))) return closed;
  return closed.charAt(0).toUpperCase() + closed.slice(1);
}
