/** What every engine that executes blocks does for who holds its ledger. */
import { toHex } from '../../base/bytes.ts';
import { invariant } from '../../base/errors.ts';
import type { Store } from '../../base/store.ts';
import type { Signed } from '../../protocol/signing.ts';
import type { Inclusion, Ledger, ProvedState } from '../ledger.ts';
import type { LightAnswers } from '../light/answers.ts';
import { STATE_KEYS_ASKED_MAX } from '../limits.ts';
import { type Prepared, prepareTransaction } from '../prepare.ts';
import { tookEffect } from '../result-codes.ts';
import { type BlockAuthority, verifyChain } from '../verify.ts';
import type { Admission } from './admission.ts';
import { type EngineCore, refusal } from './core.ts';

/** An empty store for a while. */
export interface Scratch {
  readonly store: Store;
  /** Gives it up with all that it holds. */
  drop(): Promise<void>;
}

/** Replays the ledger, one replay at a time. */
export function replays(
  core: EngineCore,
  scratch: (() => Promise<Scratch>) | undefined,
  authority?: BlockAuthority,
): Ledger['verify'] {
  let last: Promise<unknown> = Promise.resolve();
  return (options = {}) => {
    const run = last.then(async () => {
      const room = await scratch?.();
      // Between two blocks, so that the base stands still from here on.
      const release = await core.exclusive(async () => core.parts.chain.hold());
      try {
        return await verifyChain(core.parts, {
          ...options,
          ...(authority && { authority }),
          ...(room && { scratch: room.store }),
        });
      } finally {
        release();
        await room?.drop();
      }
    });
    last = run.catch(() => {});
    return run;
  };
}

/** How long pruning waits before it looks again whether old blocks are still read, milliseconds. */
const HELD_RETRY_MS = 250;

/** Prunes between blocks that come. */
export function pruneBetween(
  core: EngineCore,
  keep: number,
  signal: AbortSignal | undefined,
): Promise<number> {
  const { chain, clock } = core.parts;
  const stopping = core.stopping.signal;
  return chain.prune(keep, {
    signal: signal ? AbortSignal.any([signal, stopping]) : stopping,
    live: {
      between: (job) => core.exclusive(job),
      pause: () => new Promise((resolve) => clock.after(HELD_RETRY_MS, resolve)),
    },
  });
}

/** Proves records by the state of the head. */
export async function proveState(answers: LightAnswers, keys: readonly Uint8Array[]): Promise<ProvedState> {
  invariant(
    keys.length <= STATE_KEYS_ASKED_MAX,
    `at most ${STATE_KEYS_ASKED_MAX} records are proved together`,
  );
  const answer = await answers.state({ type: 'records', height: 0, keys });
  invariant(answer.type === 'records', 'records are answered with records');
  return { header: answer.header, entries: answer.entries };
}

/** Admits a transaction, has it handed on, and waits for its block. Errors: those of `Ledger.submit`. */
export async function submitTo(
  core: EngineCore,
  admission: Admission,
  request: {
    readonly message: Signed;
    readonly hand: (prepared: Prepared) => void;
    readonly signal: AbortSignal | undefined;
  },
): Promise<Inclusion> {
  core.demandRunning();
  const { suite, network } = core.parts;
  const prepared = prepareTransaction(suite, network, request.message);
  const waiting = core.wait(prepared.id, request.signal);
  try {
    const admitted = await admission.admit(prepared);
    if (admitted.kind === 'included') return effective(admitted.inclusion);
    core.demandRunning();
    request.hand(prepared);
    return effective(await waiting.promise);
  } finally {
    waiting.leave();
  }
}

function effective(inclusion: Inclusion): Inclusion {
  const { id, height, index, result } = inclusion;
  if (tookEffect(result.code)) return inclusion;
  throw refusal('tx-refused', result.code, { height, index, id: toHex(id) });
}
