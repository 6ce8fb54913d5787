/** A payer's daemon parts on a real ledger, and a payee whose statements a test makes by hand. */

import { utf8 } from '../../src/base/bytes.ts';
import { systemClock as clock } from '../../src/base/clock.ts';
import { silentLog as log } from '../../src/base/log.ts';
import { createMemoryStore, prefixed, type Store } from '../../src/base/store.ts';
import { type Disputes, startDisputes } from '../../src/daemon/disputes.ts';
import { createTrust } from '../../src/daemon/trust.ts';
import { createWallet, type Wallet } from '../../src/daemon/wallet.ts';
import { createEmbeddedLedger } from '../../src/ledger/engines/embedded.ts';
import type { Inclusion, Ledger } from '../../src/ledger/ledger.ts';
import { PayerBook } from '../../src/payment/payer-book.ts';
import { paymentAnswer } from '../../src/protocol/payment-query.ts';
import {
  createTickSigner,
  createTrustedVerifier,
  createVerifier,
  type Signed,
} from '../../src/protocol/signing.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { type Action, channelId } from '../../src/protocol/transaction.ts';
import { chargeOf, countedFor, type LanePlace, laneClaim, receiptOf, voucherOf } from '../ledger/lane.ts';
import { alice, bob, person, sequencer, signAction, suite, testGenesis } from '../ledger/support.ts';

export const DEPOSIT = 1_000_000n;
/** The lane that the payee serves. */
const LANE = 7;

/** Everything of one test. */
export interface DisputeRig {
  readonly ledger: Ledger;
  readonly place: LanePlace;
  /** The payer's disk. */
  readonly disk: Store;
  run(signer: Signer, action: Action): Promise<Inclusion>;
  /** A run of the payer on its disk. `sending` sees each challenge before it is signed, `kept` once it is on disk. */
  start(hooks?: Hooks): Promise<PayerRun>;
  stop(): Promise<void>;
}

/** Where a test comes between. */
export interface Hooks {
  readonly store?: (store: Store) => Store;
  readonly ledger?: (ledger: Ledger) => Ledger;
}

/** What runs while the payer is up. */
export interface PayerRun {
  readonly book: PayerBook;
  readonly wallet: Wallet;
  readonly disputes: Disputes;
  /** Accepts a call whose receipt is for `amounts.at(-1)`, all of `amounts` being charged, or what `charge` says. */
  call(amounts: readonly bigint[], charge?: Signed): Promise<void>;
  stop(): Promise<void>;
}

/** A ledger with a channel from alice to bob, behind whom stand `bond` grains. */
export async function createDisputeRig(options: { readonly bond?: bigint } = {}): Promise<DisputeRig> {
  const { bond = 100_000n } = options;
  const parameters = { closeDelayBlocks: 6, unbondDelayBlocks: 8, bondMin: 1_000n, slashPpm: 100_000 };
  const ledger = await createEmbeddedLedger(
    { suite, clock, log, store: createMemoryStore(), signer: sequencer },
    testGenesis({ parameters }),
  );
  const run = (signer: Signer, action: Action): Promise<Inclusion> =>
    ledger.submit(signAction(ledger.network, signer, ledger.account(signer.publicKey).nonce, action));
  await run(alice, { type: 'open-channel', payee: bob.publicKey, deposit: DEPOSIT });
  if (bond > 0n) await run(bob, { type: 'bond', role: 'provider', amount: bond, commission: 0 });
  const channel = channelId(suite, ledger.network, alice.publicKey, bob.publicKey, 0);
  const agent = person('agent');
  const place = { network: ledger.network, channel, lane: LANE, payer: alice, payee: bob, agent };
  const disk = createMemoryStore();
  const runs: PayerRun[] = [];
  return {
    ledger,
    place,
    disk,
    run,
    async start(hooks = {}) {
      const started = await startPayer({ ledger: hooks.ledger?.(ledger) ?? ledger, place, disk }, hooks);
      // One that is killed never stops.
      if (hooks.store === undefined) runs.push(started);
      return started;
    },
    async stop() {
      for (const one of runs) await one.stop();
      await ledger.stop();
    },
  };
}

async function startPayer(
  { ledger, place, disk }: Pick<DisputeRig, 'ledger' | 'place' | 'disk'>,
  { store = (one) => one }: Hooks,
): Promise<PayerRun> {
  const on = store(disk);
  const storeOf = (name: string): Store => prefixed(on, utf8(`${name}/`));
  const trust = createTrust({ ledger, clock });
  const verifier = createTrustedVerifier(createVerifier(suite), trust);
  const wallet = createWallet({ ledger, signer: alice, suite, clock, log, store: storeOf('wallet') });
  const book = await PayerBook.open({
    ...{ suite, verifier, clock, network: ledger.network, channels: wallet.channels },
    store: storeOf('payer'),
    operator: createTickSigner({ suite, signer: alice, network: ledger.network }),
    peer: {
      // A payee that has nothing to tell.
      ask: async () =>
        paymentAnswer.encode({
          type: 'state',
          serves: LANE,
          voucher: undefined,
          charge: undefined,
          endings: [],
        }),
    },
  });
  const disputes = await startDisputes({ ledger, wallet, verifier, trust, clock, log, storeOf, payer: book });
  let stopped = false;
  return {
    book,
    wallet,
    disputes,
    async call(amounts, charge = chargeOf(place, countedFor(place, amounts))) {
      const amount = amounts.at(-1) ?? 0n;
      const callId = new Uint8Array(16).fill(amounts.length);
      const held = await book.reserve({ callId, payee: bob.publicKey, amountMax: 10_000n });
      await held.settle({ receipt: receiptOf(place, amounts.length - 1, amount), charge });
    },
    async stop() {
      if (stopped) return;
      stopped = true;
      await disputes.stop();
      await book.flush();
      wallet.stop();
      trust.stop();
    },
  };
}

/** A claim by the payee on these amounts, whose charge `bent` bends. */
export function claimOn(
  place: LanePlace,
  amounts: readonly bigint[],
  bent: { readonly total?: bigint } = {},
): ReturnType<typeof laneClaim> {
  return laneClaim(place, chargeOf(place, countedFor(place, amounts), bent), voucherOf(place, DEPOSIT));
}

/** Waits until `holds`. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 3_000; i++) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`waited too long for: ${what}`);
}
