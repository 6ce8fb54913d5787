/** The public names of the package, one by one. What is not listed here may change at any time. */

// Calling agents
export {
  type AskRequest,
  type CallEvent,
  type Caller,
  type CallerParts,
  type CallHandle,
  createCaller,
} from './agent/caller.ts';
// Values and errors
export { formatAmount, GRAINS_PER_SAHARA, parseAmount } from './base/amount.ts';
export { type Clock, systemClock } from './base/clock.ts';
export { explainError } from './base/error-text.ts';
export { type ErrorCode, type ErrorFacts, type ErrorKind, isErrorCode, SaharaError } from './base/errors.ts';
export { openLevelStore } from './base/level-store.ts';
export { createLog, type Log, silentLog } from './base/log.ts';
export { type Dice, systemDice } from './base/random.ts';
export { createMemoryStore, prefixed, type Store } from './base/store.ts';
// Talking to a running daemon, and being one
export { type AdminClient, createAdminClient } from './daemon/admin/client.ts';
export { type Daemon, startDaemon } from './daemon/compose.ts';
// The protocol: identity, signatures, records, proofs
export { bundle, readBundle } from './protocol/bundle.ts';
export { explainReceipt } from './protocol/explain.ts';
export { didOf, publicKeyOf } from './protocol/ids.ts';
export { createTickSigner, createVerifier, type Signed, signBatch, signOne } from './protocol/signing.ts';
export type { Signer, Suite } from './protocol/suite.ts';
export { createSigner, nativeSuite } from './protocol/suite-native.ts';
export { portableSuite } from './protocol/suite-portable.ts';
export { verifyBundle } from './protocol/verify-bundle.ts';
