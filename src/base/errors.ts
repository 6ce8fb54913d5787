/**
 * One error class whose failure is data: a `code` out of a closed list, plus facts. Every wire that shows errors
 * to someone (exit codes, frames, chat sentences) maps codes by an exhaustive table of its own, so a new code
 * does not compile until all have decided. The sentences for people stand in `error-text.ts`.
 */

/** What kind of failure a code is; wires that know no codes fall back on it. */
export type ErrorKind =
  /** What was asked is malformed or impossible as stated. */
  | 'input'
  /** Well-formed, but not allowed, not paid, or not agreed to. */
  | 'refused'
  /** The thing asked for does not exist. */
  | 'missing'
  /** Something needed cannot be reached or is overloaded; later may work. */
  | 'unavailable'
  /** Data that should be sound is not. */
  | 'corrupt'
  /** The caller stopped it. */
  | 'cancelled'
  /** A defect of this program. */
  | 'internal';

// Codes are part of the protocol where `spec/errors.md` says so.
const KINDS = {
  // Usage and environment
  usage: 'input',
  'config-invalid': 'input',
  'node-unsupported': 'input',
  'home-unreadable': 'unavailable',
  'home-in-use': 'unavailable',
  'daemon-not-running': 'unavailable',
  'port-busy': 'unavailable',
  'store-locked': 'unavailable',
  'store-corrupt': 'corrupt',
  'disk-full': 'unavailable',
  'key-missing': 'missing',
  'key-locked': 'refused',
  'passphrase-wrong': 'refused',
  // Wire: what a peer sent
  malformed: 'input',
  'too-large': 'input',
  'version-unsupported': 'input',
  'network-mismatch': 'refused',
  'wrong-recipient': 'refused',
  'unknown-critical': 'input',
  expired: 'refused',
  'not-yet-valid': 'refused',
  replayed: 'refused',
  'signature-missing': 'refused',
  'signature-invalid': 'refused',
  'certificate-invalid': 'refused',
  'rate-limited': 'unavailable',
  overloaded: 'unavailable',
  // Calls
  'agent-unknown': 'missing',
  'skill-unknown': 'missing',
  'peer-unreachable': 'unavailable',
  'peer-gone': 'unavailable',
  'deadline-exceeded': 'unavailable',
  cancelled: 'cancelled',
  'caller-refused': 'refused',
  'quota-exhausted': 'refused',
  'payment-required': 'refused',
  'price-above-max': 'refused',
  'payment-invalid': 'refused',
  'voucher-invalid': 'refused',
  'voucher-stale': 'refused',
  'voucher-insufficient': 'refused',
  'channel-unknown': 'missing',
  'channel-closing': 'refused',
  'funds-insufficient': 'refused',
  'receipt-invalid': 'corrupt',
  'answer-invalid': 'corrupt',
  'call-conflict': 'refused',
  'call-unknown': 'missing',
  'call-cycle': 'refused',
  'budget-exceeded': 'refused',
  'work-required': 'refused',
  'offer-invalid': 'refused',
  'watchtower-off': 'refused',
  'seal-invalid': 'input',
  // Agents, vaults, documents
  'manifest-invalid': 'input',
  'agent-exists': 'refused',
  'vault-unknown': 'missing',
  'vault-exists': 'refused',
  'vault-empty': 'missing',
  'vault-in-use': 'refused',
  'grant-refused': 'refused',
  'archive-invalid': 'corrupt',
  'home-full': 'refused',
  'channel-to-self': 'refused',
  'document-unsupported': 'input',
  'document-too-large': 'input',
  'document-unreadable': 'input',
  'file-missing': 'missing',
  'backend-failed': 'unavailable',
  'backend-missing': 'unavailable',
  'program-missing': 'unavailable',
  'tool-failed': 'unavailable',
  'context-overflow': 'input',
  'model-unknown': 'missing',
  'model-exists': 'refused',
  'model-in-use': 'refused',
  'model-invalid': 'corrupt',
  'download-failed': 'unavailable',
  'memory-insufficient': 'refused',
  // Ledger
  'tx-invalid': 'input',
  'tx-refused': 'refused',
  'tx-unknown': 'missing',
  'block-invalid': 'corrupt',
  'ledger-halted': 'corrupt',
  'upgrade-needed': 'unavailable',
  'snapshot-invalid': 'corrupt',
  'state-unproven': 'unavailable',
  'ledger-light': 'refused',
  'account-unknown': 'missing',
  'asset-unknown': 'missing',
  'content-invalid': 'corrupt',
  'licence-refused': 'refused',
  'not-local-network': 'refused',
  // Proofs
  'bundle-invalid': 'corrupt',
  'receipt-unknown': 'missing',
  // Merging
  'recipe-invalid': 'input',
  'tensor-invalid': 'corrupt',
  'merge-refused': 'refused',
  // Bridges
  'token-missing': 'input',
  'token-refused': 'refused',
  'platform-failed': 'unavailable',
  // Ours
  internal: 'internal',
} as const;

/** Each code's kind. */
export const ERROR_KINDS: Readonly<Record<ErrorCode, ErrorKind>> = KINDS;

/** A failure's code. */
export type ErrorCode = keyof typeof KINDS;

/** What is known about one failure: names, limits, values found. Never a secret; safe to send to a peer. */
export type ErrorFacts = Readonly<Record<string, string | number | boolean | readonly string[]>>;

/** Whether `text` is a code of this version. */
export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(KINDS, text);
}

/** The one error this program throws on purpose. `message` is for logs; people read `explain(error)`. */
export class SaharaError extends Error {
  readonly code: ErrorCode;
  readonly facts: ErrorFacts;

  constructor(code: ErrorCode, facts: ErrorFacts = {}, options?: { readonly cause?: unknown }) {
    super(`${code} ${JSON.stringify(facts)}`, options);
    this.name = 'SaharaError';
    this.code = code;
    this.facts = facts;
  }

  /** The kind of this failure. */
  get kind(): ErrorKind {
    return ERROR_KINDS[this.code];
  }
}

/** `error` itself when it is ours, a cancellation when it is an abort, otherwise an `internal` that carries it. */
export function asSaharaError(error: unknown): SaharaError {
  if (error instanceof SaharaError) return error;
  if (error instanceof Error && error.name === 'AbortError') return new SaharaError('cancelled');
  if (error instanceof Error && error.name === 'TimeoutError') return new SaharaError('deadline-exceeded');
  const reason = error instanceof Error ? error.message : String(error);
  if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') {
    return new SaharaError('disk-full', { reason }, { cause: error });
  }
  return new SaharaError('internal', { reason }, { cause: error });
}

/** Stops on a broken assumption: a defect of this program, never bad input. */
export function invariant(condition: unknown, what: string): asserts condition {
  if (!condition) throw new SaharaError('internal', { reason: `invariant: ${what}` });
}
