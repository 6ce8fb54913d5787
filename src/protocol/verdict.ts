/** How a file of proofs is judged: checks run in a fixed order and stop at the first that fails; what passed is told. */
import { type ErrorCode, SaharaError } from '../base/errors.ts';
import type { NamedBlock } from './certified-header.ts';

/** What one check found. */
export interface VerdictStep<C extends string> {
  readonly check: C;
  readonly ok: boolean;
  /** What was found to hold, or why it does not. */
  readonly detail: string;
}

/** The verdict on a file. */
export interface Verdict<C extends string, S> {
  readonly ok: boolean;
  readonly steps: readonly VerdictStep<C>[];
  /** Present only when every check passed. */
  readonly summary: S | undefined;
}

/** What a file is verified against. */
export interface Expectation {
  /** Full name of the network that it must be of. Default: whichever its genesis makes. */
  readonly network?: string;
  /**
   * A block of consensus that the verifier knows by itself. Every proof then has to come by way of it, so that it rests on
   * who voted at that time, not on those with whom the network began, or on a sequencer. Default: none.
   */
  readonly through?: NamedBlock | undefined;
}

/** Runs one check: what `work` answers, with words about it. */
export type RunCheck<C extends string> = <T>(check: C, work: () => readonly [value: T, detail: string]) => T;

/** Runs `checks`, of which `first` is the first. Only what is a bug is thrown. */
export function judge<C extends string, S>(first: C, checks: (run: RunCheck<C>) => S): Verdict<C, S> {
  const steps: VerdictStep<C>[] = [];
  let running = first;
  const run: RunCheck<C> = (check, work) => {
    running = check;
    const [value, detail] = work();
    steps.push({ check, ok: true, detail });
    return value;
  };
  try {
    const summary = checks(run);
    return { ok: true, steps, summary };
  } catch (error) {
    if (!(error instanceof SaharaError)) throw error;
    steps.push({ check: running, ok: false, detail: reasonOf(error, running) });
    return { ok: false, steps, summary: undefined };
  }
}

function reasonOf(error: SaharaError, check: string): string {
  const reason = error.facts.reason === undefined ? '' : String(error.facts.reason);
  if (error.code === 'bundle-invalid') return reason;
  const more = reason && ` (${reason})`;
  if (error.code === 'malformed') return `${UNREADABLE[check] ?? 'a part cannot be read'}${more}`;
  return `${WORDS[error.code] ?? `it is refused as ${error.code}`}${more}`;
}

/** What it means that a file cannot be read at all, by the check that reads it. */
const UNREADABLE: Readonly<Record<string, string>> = {
  audit: 'this is no audit file',
  bundle: 'this is no evidence bundle',
};

/** How the refusals of the parts read in a verdict. */
const WORDS: Partial<Record<ErrorCode, string>> = {
  'certificate-invalid': 'the certificate does not hold',
  'version-unsupported': 'it is of another version',
  'network-mismatch': 'it is of another network',
  'wrong-recipient': 'it was meant for someone else',
  'unknown-critical': 'it needs something unknown',
  expired: 'it had expired when it was sent',
  'not-yet-valid': 'it is from the future',
  'signature-missing': 'a signature is missing',
  'signature-invalid': 'a signature does not match',
  'budget-exceeded': 'the calls above it did not allow it',
  'call-cycle': 'its agent is also above it',
};
