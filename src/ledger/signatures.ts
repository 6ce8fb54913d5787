/**
 * Verifies before execution what execution will ask about, off the event loop, and remembers the verdict beside
 * the message itself, so that nothing is verified twice and the state machine stays synchronous. Execution gives
 * the same answer with an empty book: what is not remembered is verified on the spot.
 */
import { equalBytes } from '../base/bytes.ts';
import { createRecent } from '../base/recent.ts';
import type { PublicKey } from '../protocol/ids.ts';
import { checkSigned, type Signed, signedBytes } from '../protocol/signing.ts';
import type { Suite } from '../protocol/suite.ts';
import { BATCH_VERDICTS_MAX, VERIFICATIONS_MAX } from './limits.ts';
import { nameOf } from './names.ts';

/** A claim that a key signed a message as a type. */
interface SignatureClaim {
  readonly type: string;
  readonly publicKey: PublicKey;
  readonly message: Signed;
}

interface Verdict {
  readonly type: string;
  readonly publicKey: PublicKey;
  readonly ok: boolean;
}

/** Verdicts on signatures of one network. */
export interface SignatureBook {
  /** What it verifies with. */
  readonly suite: Suite;
  /** Verifies off the event loop and remembers. */
  verify(claim: SignatureClaim): Promise<boolean>;
  /** The verdict: remembered, or found on the spot. */
  check(claim: SignatureClaim): boolean;
}

/** An empty book for `network`. */
export function createSignatureBook(suite: Suite, network: string): SignatureBook {
  const verdicts = new WeakMap<Signed, Verdict>();
  const batches = createRecent<Promise<boolean>>({ costMax: BATCH_VERDICTS_MAX });
  const gate = createGate(suite, VERIFICATIONS_MAX);

  const known = ({ type, publicKey, message }: SignatureClaim): boolean | undefined => {
    const verdict = verdicts.get(message);
    if (verdict === undefined || verdict.type !== type) return undefined;
    return equalBytes(verdict.publicKey, publicKey) ? verdict.ok : undefined;
  };

  const ask = (publicKey: PublicKey, message: Signed, covered: Uint8Array): Promise<boolean> =>
    gate(publicKey, covered, message.signature);

  const viaBatch = (publicKey: PublicKey, message: Signed, covered: Uint8Array): Promise<boolean> => {
    const key = nameOf(suite.sha256(publicKey, message.signature, covered));
    let verdict = batches.get(key);
    if (verdict === undefined) {
      verdict = ask(publicKey, message, covered);
      batches.set(key, verdict);
      // A failure of the platform is no verdict.
      verdict.catch(() => batches.delete(key));
    }
    return verdict;
  };

  const decide = ({ type, publicKey, message }: SignatureClaim): Promise<boolean> => {
    if (message.signature.length !== 64 || message.sides >> message.siblings.length !== 0)
      return Promise.resolve(false);
    const covered = signedBytes(suite, network, type, message);
    return message.siblings.length > 0
      ? viaBatch(publicKey, message, covered)
      : ask(publicKey, message, covered);
  };

  return {
    suite,
    verify(claim) {
      const remembered = known(claim);
      if (remembered !== undefined) return Promise.resolve(remembered);
      const { type, publicKey, message } = claim;
      return decide(claim).then((ok) => {
        verdicts.set(message, { type, publicKey, ok });
        return ok;
      });
    },
    check(claim) {
      const { type, publicKey, message } = claim;
      return known(claim) ?? checkSigned(suite, network, type, publicKey, message) === undefined;
    },
  };
}

interface Wanted {
  readonly publicKey: PublicKey;
  readonly covered: Uint8Array;
  readonly signature: Uint8Array;
  readonly resolve: (ok: boolean) => void;
  readonly reject: (error: unknown) => void;
}

/** Has at most `max` signatures verified at a time, the rest in order: a disk write must not wait behind all of them. */
function createGate(
  suite: Suite,
  max: number,
): (publicKey: PublicKey, covered: Uint8Array, signature: Uint8Array) => Promise<boolean> {
  let running = 0;
  let waiting: Wanted[] = [];
  let first = 0;
  const start = (wanted: Wanted): void => {
    running++;
    suite.verifyAsync(wanted.publicKey, wanted.covered, wanted.signature).then(
      (ok) => {
        wanted.resolve(ok);
        done();
      },
      (error) => {
        wanted.reject(error);
        done();
      },
    );
  };
  const done = (): void => {
    running--;
    const next = waiting[first];
    if (next === undefined) return;
    first++;
    if (first === waiting.length) {
      waiting = [];
      first = 0;
    }
    start(next);
  };
  return (publicKey, covered, signature) =>
    new Promise((resolve, reject) => {
      const wanted = { publicKey, covered, signature, resolve, reject };
      if (running < max) start(wanted);
      else waiting.push(wanted);
    });
}
