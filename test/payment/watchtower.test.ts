import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock as clock } from '../../src/base/clock.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { openLevelStore } from '../../src/base/level-store.ts';
import { silentLog as log } from '../../src/base/log.ts';
import { createMemoryStore, type Store } from '../../src/base/store.ts';
import { createLedgerClient } from '../../src/ledger/client.ts';
import { createEmbeddedLedger } from '../../src/ledger/engines/embedded.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { HandOver } from '../../src/payment/hand-over.ts';
import { Watchtower, type WatchtowerOptions } from '../../src/payment/watchtower.ts';
import type { ClaimBody } from '../../src/protocol/actions-channel.ts';
import { attributionRoot, charge as chargeSchema } from '../../src/protocol/payment.ts';
import { createVerifier, signOne } from '../../src/protocol/signing.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { type Action, channelId } from '../../src/protocol/transaction.ts';
import type { WatchVerdict } from '../../src/protocol/watchtower.ts';
import { createRig, QUESTION, type Rig } from '../calls/rig.ts';
import { ALONE, register, rotate } from '../ledger/identity-support.ts';
import { chargeOf, countedFor, type LanePlace, laneClaim, voucherOf } from '../ledger/lane.ts';
import {
  alice,
  bob,
  carol,
  person,
  START,
  sequencer,
  signAction,
  suite,
  testGenesis,
} from '../ledger/support.ts';

const DEPOSIT = 100_000_000n;
const agent = person('agent');

let ledger: Ledger;
let place: LanePlace;
const towers: Watchtower[] = [];

beforeEach(async () => {
  const parameters = { closeDelayBlocks: 10, blockIntervalMs: 20 };
  const parts = { suite, clock, log, store: createMemoryStore(), signer: sequencer };
  ledger = await createEmbeddedLedger(parts, testGenesis({ parameters }));
  place = await channelOf(3);
});
afterEach(async () => {
  for (const tower of towers.splice(0)) await tower.stop();
  await ledger.stop();
});

const run = (signer: Signer, action: Action) =>
  ledger.submit(signAction(ledger.network, signer, ledger.account(signer.publicKey).nonce, action));

/** A channel from alice to bob. */
async function channelOf(lane: number): Promise<LanePlace> {
  const { nonce } = ledger.account(alice.publicKey);
  await run(alice, { type: 'open-channel', payee: bob.publicKey, deposit: DEPOSIT });
  const channel = channelId(suite, ledger.network, alice.publicKey, bob.publicKey, nonce);
  return { network: ledger.network, channel, lane, payer: alice, payee: bob, agent };
}

const claimFor = (at: LanePlace, amounts: readonly bigint[], ceiling: bigint = DEPOSIT): ClaimBody =>
  laneClaim(at, chargeOf(at, countedFor(at, amounts)), voucherOf(at, ceiling));
const paidOn = ({ channel, lane }: LanePlace): bigint =>
  ledger.channel(channel)?.lanes.find((one) => one.lane === lane)?.paid ?? 0n;

async function towerOn(store: Store, options: Partial<WatchtowerOptions> = {}): Promise<Watchtower> {
  const client = createLedgerClient({ ledger, signer: carol, suite, clock });
  const tower = await Watchtower.open(
    {
      ...{ suite, clock, log, store, ledger, verifier: createVerifier(suite) },
      claim: async (claim, limits) => (await client.send({ type: 'claim', ...claim }, limits)).result.moved,
    },
    options,
  );
  towers.push(tower);
  return tower;
}

async function until(what: string, holds: () => boolean): Promise<void> {
  for (let i = 0; i < 3_000; i++) {
    if (holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`waited too long for: ${what}`);
}

describe('what a watchtower takes', () => {
  it('PAY-57: takes what both parties signed and what does not fall, and says of each why not', async () => {
    const tower = await towerOn(createMemoryStore());
    const good = claimFor(place, [40n, 60n]);
    const elsewhere = { ...place, channel: new Uint8Array(32).fill(7) };
    const cases: readonly (readonly [ClaimBody, WatchVerdict])[] = [
      [claimFor(elsewhere, [1n]), 'channel-unknown'],
      [{ ...good, attribution: [] }, 'unverified'],
      [{ ...good, channel: place.channel, voucher: voucherOf({ ...place, lane: 4 }, DEPOSIT) }, 'unverified'],
      [{ ...good, voucher: voucherOf(place, DEPOSIT, carol) }, 'unverified'],
      [{ ...good, charge: chargeOf(place, countedFor(place, [40n, 60n]), { by: carol }) }, 'unverified'],
      [{ ...good, charge: { ...good.charge, payload: new Uint8Array(3) } }, 'unverified'],
      [claimFor(place, [0n]), 'paid'],
      [good, 'watched'],
      [good, 'watched'],
      [claimFor(place, [40n]), 'older'],
      [claimFor(place, [40n, 60n, 5n], 100n), 'older'],
      [claimFor(place, [40n, 60n, 5n]), 'watched'],
    ];
    for (const [claim, verdict] of cases) expect(await tower.take([claim])).toEqual([verdict]);
    expect(tower.lanes()).toMatchObject([{ lane: 3, total: 105n, payee: bob.publicKey }]);
    // The order of the verdicts is that of the claims.
    expect(await tower.take([claimFor(elsewhere, [1n]), good])).toEqual(['channel-unknown', 'older']);
  });

  it('PAY-58: has places for so many lanes of one payee and in all, and gives those that are paid to others', async () => {
    const second = { ...place, lane: 4 };
    for (const options of [{ lanesMax: 1 }, { perPayeeMax: 1 }]) {
      const tower = await towerOn(createMemoryStore(), options);
      const [one, other] = [claimFor(place, [paidOn(place) + 5n]), claimFor(second, [paidOn(second) + 5n])];
      expect(await tower.take([one, other])).toEqual(['watched', 'full']);
      expect(await tower.take([claimFor(place, [paidOn(place) + 6n])])).toEqual(['watched']);
      await run(bob, { type: 'claim', ...claimFor(place, [paidOn(place) + 6n]) });
      await until('the place is free', () => tower.lanes().length === 0);
      expect(await tower.take([other])).toEqual(['watched']);
      await tower.stop();
    }
  });

  it('PAY-57 PAY-73: takes vouchers by the channel’s keys, and claims in time on one that was replaced', async () => {
    const tower = await towerOn(createMemoryStore());
    const [hot, cool] = [person('hot'), person('cool')];
    const by = (signer: Signer, amounts: readonly bigint[]): ClaimBody => ({
      ...claimFor(place, amounts),
      voucher: voucherOf(place, DEPOSIT, signer),
    });
    expect(await tower.take([by(hot, [40n])])).toEqual(['unverified']);
    await run(alice, { type: 'set-voucher-key', channel: place.channel, key: hot.publicKey });
    expect(await tower.take([by(hot, [40n])])).toEqual(['watched']);
    await run(alice, { type: 'set-voucher-key', channel: place.channel, key: cool.publicKey });
    // It counts for as long as a channel takes to end, which its tower waits for by half.
    expect(paidOn(place)).toBe(0n);
    for (let i = 0; paidOn(place) === 0n && i < 10; i++) {
      await run(bob, { type: 'transfer', to: carol.publicKey, amount: 1n, memo: undefined });
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await until('the tower has claimed', () => paidOn(place) === 40n);
    expect(await tower.take([by(cool, [40n, 5n])])).toEqual(['watched']);
  });
});

describe('what a watchtower claims', () => {
  it('PAY-59 PAY-60: claims on a closing channel for the payee that does not; the money goes to the parties alone', async () => {
    const tower = await towerOn(createMemoryStore());
    await tower.take([claimFor(place, [40n, 60n])]);
    const before = {
      bob: ledger.account(bob.publicKey).balance,
      carol: ledger.account(carol.publicKey).balance,
    };
    await run(alice, { type: 'request-close', channel: place.channel });
    const closeAt = ledger.channel(place.channel)?.closeAt ?? 0;
    await until('it is claimed', () => tower.claimed.claims > 0);
    expect(ledger.head().height).toBeGreaterThanOrEqual(closeAt - 5);
    expect(tower.claimed).toEqual({ claims: 1, paid: 100n });
    await until('the channel ended', () => ledger.channel(place.channel) === undefined);
    expect(ledger.account(bob.publicKey).balance).toBe(before.bob + 100n);
    expect(ledger.account(carol.publicKey).balance).toBe(before.carol);
    expect(ledger.account(alice.publicKey).balance).toBe(START - 100n);
    expect(tower.lanes()).toEqual([]);
    expect((await ledger.verify()).faults).toEqual([]);
  });

  it('PAY-59: claims nothing that the payee has claimed itself', async () => {
    const tower = await towerOn(createMemoryStore());
    const claim = claimFor(place, [40n]);
    await tower.take([claim]);
    await run(alice, { type: 'request-close', channel: place.channel });
    await run(bob, { type: 'claim', ...claim });
    await until('the channel ended', () => ledger.channel(place.channel) === undefined);
    await until('it is given up', () => tower.lanes().length === 0);
    expect(tower.claimed.claims).toBe(0);
    expect(ledger.account(carol.publicKey).nonce).toBe(0);
  });

  it('PAY-59: claims before a withdrawal takes what is due, and not for one that leaves enough', async () => {
    const tower = await towerOn(createMemoryStore());
    const rich = await channelOf(5);
    await tower.take([claimFor(place, [50_000_000n]), claimFor(rich, [50_000_000n])]);
    const withdraw = (channel: Uint8Array, amount: bigint) =>
      run(alice, { type: 'request-withdraw', channel, amount });
    await withdraw(place.channel, 60_000_000n);
    await withdraw(rich.channel, 50_000_000n);
    await until('both are over', () =>
      [place, rich].every(({ channel }) => ledger.channel(channel)?.withdrawal === undefined),
    );
    expect([paidOn(place), paidOn(rich)]).toEqual([50_000_000n, 0n]);
    await until('it heard of it', () => tower.claimed.claims > 0 && tower.lanes().length === 1);
    expect(tower.claimed.claims).toBe(1);
    expect(tower.lanes()).toMatchObject([{ lane: 5 }]);
  });

  it('PAY-59: claims before a key of the payer ends to count that was retired', async () => {
    const tower = await towerOn(createMemoryStore());
    const next = person('next of alice');
    const as = (signer: Signer, action: Action) => {
      const { nonce } = ledger.account(alice.publicKey);
      const sender = alice.publicKey;
      return ledger.submit(signAction(ledger.network, signer, nonce, action, { sender }));
    };
    await run(alice, register(next, { ...ALONE, delayBlocks: 10 }));
    await tower.take([claimFor(place, [40n])]);
    await as(next, rotate(next, person('after next')));
    const last = ledger.identity(alice.publicKey)?.retired[0]?.until ?? 0;
    const memo = undefined;
    for (let i = 1n; ledger.head().height < last && paidOn(place) === 0n; i++) {
      await run(bob, { type: 'transfer', to: sequencer.publicKey, amount: i, memo });
    }
    await until('it is claimed', () => tower.claimed.claims > 0);
    expect(tower.claimed).toEqual({ claims: 1, paid: 40n });
    expect(ledger.head().height).toBeLessThanOrEqual(last);
  });

  it('PAY-60: does not send again what the ledger refused, until something newer is left', async () => {
    const tower = await towerOn(createMemoryStore());
    // Both verify, but an asset's amount falls from one to the next (LEDGER-20).
    await run(bob, { type: 'claim', ...claimFor(place, [40n]) });
    const terms = chargeSchema.decode(chargeOf(place, countedFor(place, [40n, 60n])).payload);
    const attribution = [{ asset: new Uint8Array(32).fill(9), amount: 100n }];
    const payload = chargeSchema.encode({ ...terms, attributionRoot: attributionRoot(suite, attribution) });
    const charge = signOne(suite, bob, ledger.network, { type: 'charge', payload });
    const falls: ClaimBody = { ...claimFor(place, [40n, 60n]), charge, attribution };
    expect(await tower.take([falls])).toEqual(['watched']);
    await run(alice, { type: 'request-close', channel: place.channel });
    await until('the channel ended', () => ledger.channel(place.channel) === undefined);
    await until('it is given up', () => tower.lanes().length === 0);
    expect(tower.claimed.claims).toBe(0);
    expect(ledger.account(carol.publicKey).nonce).toBe(1);
  });

  it('PAY-60: payer and payee together cannot have it pay a fee at every block of an end', async () => {
    await ledger.stop();
    const closeDelayBlocks = 32;
    ledger = await createEmbeddedLedger(
      { suite, clock, log, store: createMemoryStore(), signer: sequencer },
      testGenesis({ parameters: { closeDelayBlocks, blockIntervalMs: 20 } }),
    );
    place = await channelOf(3);
    const tower = await towerOn(createMemoryStore());
    let left = 0n;
    const unwatch = ledger.onBlock(() => {
      // One grain more at every block, of which the tower is told.
      left += 1n;
      void tower.take([claimFor(place, [left])]);
    });
    await run(alice, { type: 'request-close', channel: place.channel });
    await until('the channel ended', () => ledger.channel(place.channel) === undefined);
    unwatch();
    const fees = ledger.account(carol.publicKey).nonce;
    expect(fees).toBeGreaterThan(1);
    expect(fees).toBeLessThanOrEqual(Math.log2(closeDelayBlocks) + 1);
    expect(tower.claimed.claims).toBe(fees);
    expect(tower.claimed.paid).toBeGreaterThan(BigInt(closeDelayBlocks) / 2n);
  });

  it('PAY-61: claims what began to end while it was away, from what it had on disk', async () => {
    const path = await mkdtemp(join(tmpdir(), 'sahara-tower-'));
    const store = await openLevelStore(path);
    const first = await towerOn(store);
    await first.take([claimFor(place, [70n]), claimFor({ ...place, lane: 9 }, [30n])]);
    const sinceMs = first.lanes()[0]?.sinceMs;
    await first.stop();
    await run(alice, { type: 'request-close', channel: place.channel });
    const before = ledger.account(bob.publicKey).balance;
    const second = await towerOn(store);
    expect(second.lanes()).toHaveLength(2);
    expect(second.lanes()[0]?.sinceMs).toBe(sinceMs);
    await until('the channel ended', () => ledger.channel(place.channel) === undefined);
    expect(ledger.account(bob.publicKey).balance).toBe(before + 100n);
    await until('nothing is left', () => second.lanes().length === 0);
    await second.stop();
    await store.close();
    await rm(path, { recursive: true, force: true });
  });
});

describe('what a payee leaves with its watchtower', () => {
  const ask = (rig: Rig) =>
    rig.caller.ask({ target: rig.target, question: QUESTION, priceMax: 1_000n }).result;

  it('PAY-55 PAY-56: the latest claim of each lane that calls have changed, and everything after a failure', async () => {
    const rig = await createRig();
    const left: ClaimBody[][] = [];
    let failing = false;
    let verdict: WatchVerdict = 'watched';
    const totals = (): bigint[] =>
      left.map(([claim]) => (claim ? chargeSchema.decode(claim.charge.payload).total : 0n));
    const handOver = new HandOver(
      {
        ...{ book: rig.payee, channels: rig.channels, clock, log },
        async send(claims) {
          if (failing) throw new SaharaError('peer-unreachable');
          left.push([...claims]);
          return claims.map(() => verdict);
        },
      },
      { everyMs: 20 },
    );
    const first = (await ask(rig)).amount;
    await until('it is left', () => totals().at(-1) === first);
    const second = first + (await ask(rig)).amount;
    await until('it is left again', () => totals().at(-1) === second);
    failing = true;
    const third = second + (await ask(rig)).amount;
    await until('it failed', () => handOver.state.failure === 'peer-unreachable');
    failing = false;
    await until('everything is left', () => totals().at(-1) === third);
    await until('it is well', () => handOver.state.failure === undefined);
    // A tower that comes back may have lost all: it gets it again without any call.
    const before = left.length;
    handOver.again();
    await until('everything is left anew', () => left.length > before);
    expect(totals().at(-1)).toBe(third);
    expect(handOver.state.refused).toEqual([]);
    verdict = 'full';
    handOver.again();
    await until('the refusal is told', () => handOver.state.refused[0]?.verdict === 'full');
    verdict = 'watched';
    await ask(rig);
    await until('it has a place', () => handOver.state.refused.length === 0);
    await handOver.stop();
  });
});
