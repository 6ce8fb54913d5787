/**
 * A home that keeps the whole ledger gets no blocks where validators decide: there blocks pass between their nodes alone.
 * A new home that knows nothing but an address learns what network it came to from the first peer that proves it.
 */
import type { Clock } from '../base/clock.ts';
import { createMemoryStore } from '../base/store.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { createLightClient } from '../ledger/light/client.ts';
import type { LedgerMesh } from '../ledger/sync.ts';
import type { Genesis } from '../protocol/block.ts';
import { nativeSuite } from '../protocol/suite-native.ts';

/** What is looked with. */
interface ValidatorsWatchParts {
  readonly clock: Clock;
  readonly genesis: Genesis;
  readonly mesh: Pick<LedgerMesh, 'peers' | 'request'>;
}

/** A look at peers for what decides on blocks. */
export interface ValidatorsWatch {
  /** Resolves when a peer has proved that validators do; never where a sequencer does. */
  readonly found: Promise<void>;
  stop(): void;
}

/** How long the second look waits, milliseconds; each further one twice as long, up to the second figure. */
const AGAIN_MS = 1_000;
const AGAIN_MS_MAX = 60_000;

/** Looks as long as `whole` has no block. */
export function watchForValidators(
  { clock, genesis, mesh }: ValidatorsWatchParts,
  whole: Pick<Ledger, 'head'>,
): ValidatorsWatch {
  const { promise: found, resolve } = Promise.withResolvers<void>();
  const stopping = new AbortController();
  const { signal } = stopping;
  // What it proves tells a person what to do, and is believed for nothing else: it is not kept.
  const client = createLightClient({
    suite: nativeSuite,
    genesis,
    ask: mesh,
    store: createMemoryStore(),
  });
  let cancel = (): void => {};
  let againMs = AGAIN_MS;
  const look = async (): Promise<void> => {
    if (whole.head().height > 0) return;
    // Who is connected to nobody yet gets no answer.
    await client.follow({ signal }).catch(() => {});
    if (signal.aborted) return;
    if (client.consensus.latest !== undefined) resolve();
    if (client.head().height > 0) return;
    cancel = clock.after(againMs, () => void look());
    againMs = Math.min(2 * againMs, AGAIN_MS_MAX);
  };
  void look();
  return {
    found,
    stop() {
      stopping.abort();
      cancel();
    },
  };
}
