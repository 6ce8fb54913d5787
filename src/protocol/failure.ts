/** How a failure travels between peers: its code, what is known about it, and the clock of who refused. */
import { type ErrorFacts, isErrorCode, SaharaError } from '../base/errors.ts';
import { malformed } from './codec.ts';
import { type Field, list, mapOf, record, type Schema, text, uint } from './schema.ts';

/** A failure on the wire. */
export interface WireFailure {
  /** An error code; unknown ones are kept as a fact and read as `internal`. */
  readonly code: string;
  readonly facts: ErrorFacts;
  /** The sender's wall clock, so that a skewed one can correct itself once. Milliseconds since 1970. */
  readonly atMs: number;
}

/** Most facts of one failure. */
export const FACTS_MAX = 16;
const FACT_NAME_BYTES_MAX = 32;
const FACT_TEXT_CHARACTERS_MAX = 256;
const FACT_TEXT_BYTES_MAX = 3 * FACT_TEXT_CHARACTERS_MAX;
const FACT_LIST_MAX = 8;

type Fact = string | number | boolean | readonly string[];

/** A fact is a list of texts whose first entry says how to read the rest, so it needs no type of its own. */
const factField: Field<Fact> = {
  about: 'fact',
  write(writer, value) {
    factTexts.write(writer, factToTexts(value));
  },
  read: (reader) => factFromTexts(factTexts.read(reader)),
};
const factTexts: Field<readonly string[]> = list(text(FACT_TEXT_BYTES_MAX), 1 + FACT_LIST_MAX);

function factToTexts(value: Fact): readonly string[] {
  if (typeof value === 'string') return ['s', clipped(value)];
  if (typeof value === 'number') return Number.isFinite(value) ? ['n', String(value)] : ['s', String(value)];
  if (typeof value === 'boolean') return ['b', value ? '1' : '0'];
  return ['l', ...value.slice(0, FACT_LIST_MAX).map(clipped)];
}

function factFromTexts([how, ...rest]: readonly string[]): Fact {
  const [first] = rest;
  if (rest.some((entry) => clipped(entry) !== entry)) throw malformed('fact too long');
  if (how === 'l') return rest;
  if (first === undefined || rest.length !== 1) throw malformed('fact of the wrong shape');
  if (how === 's') return first;
  // One number has one text, so that what is read can only be written back as it was.
  if (how === 'n' && String(Number(first)) === first && Number.isFinite(Number(first))) return Number(first);
  if (how === 'b' && (first === '0' || first === '1')) return first === '1';
  throw malformed('fact of an unknown type');
}

function clipped(value: string): string {
  return value.length <= FACT_TEXT_CHARACTERS_MAX ? value : value.slice(0, FACT_TEXT_CHARACTERS_MAX);
}

const FACT_NAME = /^[\x20-\x7e]{1,32}$/;

const factsField: Field<ReadonlyMap<string, Fact>> = mapOf(factField, FACTS_MAX, FACT_NAME_BYTES_MAX);

/** The record of a failure: code, facts, time. */
export const failureSchema: Schema<WireFailure> = record('failure', {
  code: text(64),
  facts: {
    write: (writer, facts: ErrorFacts) => factsField.write(writer, sendable(facts)),
    read(reader): ErrorFacts {
      const facts = factsField.read(reader);
      for (const name of facts.keys()) if (!FACT_NAME.test(name)) throw malformed('name of a fact');
      return Object.fromEntries(facts);
    },
    about: factsField.about ?? '',
  },
  atMs: uint(),
});

function sendable(facts: ErrorFacts): ReadonlyMap<string, Fact> {
  const fitting = Object.entries(facts).filter(([name]) => FACT_NAME.test(name));
  return new Map(fitting.slice(0, FACTS_MAX));
}

/** The wire form of `error`, said at `nowMs`. */
export function toWireFailure(error: SaharaError, nowMs: number): WireFailure {
  return { code: error.code, facts: error.facts, atMs: Math.max(0, Math.trunc(nowMs)) };
}

/** The error that a peer's failure is rethrown as; `peerTimeMs` is its clock. */
export function fromWireFailure(failure: WireFailure): SaharaError {
  const facts = { ...failure.facts, peerTimeMs: failure.atMs };
  if (isErrorCode(failure.code)) return new SaharaError(failure.code, facts);
  return new SaharaError('internal', { ...facts, peerCode: failure.code });
}
