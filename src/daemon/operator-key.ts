/**
 * The key that signs for the operator. Its name stays, what signs changes: everything that signs for the operator holds
 * this one signer, so a rotation reaches all of it at once and nothing has to start anew.
 */
import { equalBytes } from '../base/bytes.ts';
import { asSaharaError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { didOf, type PublicKey } from '../protocol/ids.ts';
import type { TickSigner } from '../protocol/signing.ts';
import type { Signer } from '../protocol/suite.ts';
import type { DaemonKeys } from './keys.ts';
import type { LedgerTrust } from './trust.ts';

/** Signs for the operator with the key that the ledger has for it. */
export interface OperatorKey extends Signer {
  /** The operator's DID: its first key, for ever. */
  readonly publicKey: PublicKey;
  /** The key that signs now. */
  readonly signing: PublicKey;
  /** From now on `signer` signs. */
  use(signer: Signer): void;
  /** Tells of every change of the key that signs. Returns how to stop it. */
  onUse(listener: () => void): () => void;
  /** Has statements wait until `work`, a change of the key, is done, but for those that count under either key. */
  hold<T>(work: () => Promise<T>): Promise<T>;
  /** Until when statements wait; `undefined`: they need not. */
  readonly held: Promise<void> | undefined;
}

/** The operator `first`, for whom `signing` signs until another key is used: by default its first key itself. */
export function createOperatorKey(first: Pick<Signer, 'publicKey'>, signing: Signer): OperatorKey {
  let current = signing;
  let held: Promise<void> | undefined;
  let holders = 0;
  let release = (): void => {};
  const listeners = new Set<() => void>();
  return {
    publicKey: first.publicKey,
    get signing() {
      return current.publicKey;
    },
    get held() {
      return held;
    },
    sign: (message) => current.sign(message),
    use(signer) {
      if (equalBytes(signer.publicKey, current.publicKey)) return;
      current = signer;
      for (const listener of listeners) listener();
    },
    onUse(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async hold(work) {
      if (holders++ === 0) {
        held = new Promise((resolve) => {
          release = resolve;
        });
      }
      try {
        return await work();
      } finally {
        if (--holders === 0) {
          held = undefined;
          release();
        }
      }
    },
  };
}

/** What a key is followed with. */
export interface FollowParts {
  readonly key: OperatorKey;
  readonly keys: DaemonKeys;
  readonly ledger: Pick<Ledger, 'identity'>;
  readonly trust: Pick<LedgerTrust, 'onChange'>;
  readonly log: Log;
}

/** Has `parts.key` sign with the key that the ledger has for its DID, where that is in this home. False: it is not. */
export async function followOnce({ key, keys, ledger, log }: Omit<FollowParts, 'trust'>): Promise<boolean> {
  let wanted = key.publicKey;
  try {
    wanted = ledger.identity(key.publicKey)?.key ?? key.publicKey;
    if (equalBytes(wanted, key.signing)) return true;
    key.use(await keys.operatorKey(wanted));
    log.info('another key signs for the operator', { key: didOf(wanted) });
    return true;
  } catch (error) {
    const { code } = asSaharaError(error);
    log.error('the key that the ledger has for this operator is not here', { key: didOf(wanted), code });
    return false;
  }
}

/** Follows what the ledger says of the operator's own DID, from now on. Returns how to stop it. */
export async function followKey(parts: FollowParts): Promise<() => Promise<void>> {
  const { key, trust } = parts;
  await followOnce(parts);
  let following: Promise<unknown> = Promise.resolve();
  const unfollow = trust.onChange((dids) => {
    if (!dids.some((did) => equalBytes(did, key.publicKey))) return;
    following = following.then(() => key.hold(() => followOnce(parts)));
  });
  return async () => {
    unfollow();
    await following;
  };
}

/** Types of statements that count under the key before as well, for a while. */
const UNDER_EITHER: ReadonlySet<string> = new Set(['voucher', 'charge']);

/** `signer`, which signs with `key`, and waits where statements have to. */
export function holding(signer: TickSigner, key: Pick<OperatorKey, 'held'>): TickSigner {
  return {
    publicKey: signer.publicKey,
    sign(type, payload) {
      const { held } = key;
      if (held === undefined || UNDER_EITHER.has(type)) return signer.sign(type, payload);
      return held.then(() => signer.sign(type, payload));
    },
  };
}
