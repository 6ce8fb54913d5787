import { describe, expect, it } from 'vitest';
import { systemClock as clock } from '../../src/base/clock.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { silentLog as log } from '../../src/base/log.ts';
import { createMemoryStore, type Store } from '../../src/base/store.ts';
import { claimPollMs, closeDelayMs, startClaiming } from '../../src/daemon/claiming.ts';
import { createGenesis } from '../../src/ledger/genesis.ts';
import type { BlockEvent } from '../../src/ledger/ledger.ts';
import { createClaimer } from '../../src/payment/claimer.ts';
import {
  claimable,
  claimBody,
  earningsByAgent,
  earningsByAsset,
  earningsByOwner,
  unpaid,
} from '../../src/payment/claims.ts';
import type { Claim, ClaimLedger } from '../../src/payment/ports.ts';
import {
  attributionRoot,
  charge as chargeSchema,
  voucher as voucherSchema,
} from '../../src/protocol/payment.ts';
import { nativeSuite as suite } from '../../src/protocol/suite-native.ts';
import {
  AGENT_ASSET,
  type Channels,
  createRig,
  hash,
  KNOWLEDGE_ASSET,
  keys,
  QUESTION,
  type Rig,
} from '../calls/rig.ts';

/** A ledger's rule for claims, applied to the same view that the books read. */
function ledgerOver(
  channels: Channels,
  results: (number | undefined | SaharaError)[] = [],
): ClaimLedger & { readonly sent: Claim[] } {
  const sent: Claim[] = [];
  const applied = new Set<string>();
  return {
    sent,
    async submitClaim(claim) {
      sent.push(claim);
      return suite.sha256(claim.charge.payload);
    },
    submitClaims: () => Promise.reject(new Error('one channel alone has nothing to be batched with')),
    async outcome(transaction) {
      const next = results.length > 0 ? results.shift() : 0;
      if (next instanceof SaharaError) throw next;
      if (next !== 0) return next;
      const name = Buffer.from(transaction).toString('hex');
      const claim = sent.find(
        ({ charge }) => Buffer.from(suite.sha256(charge.payload)).toString('hex') === name,
      );
      const channel = claim && channels.channel(claim.channel);
      if (!claim || !channel || applied.has(name)) return 0;
      applied.add(name);
      const { total } = chargeSchema.decode(claim.charge.payload);
      const { ceiling } = voucherSchema.decode(claim.voucher.payload);
      const paid = [total, ceiling, channel.deposit].reduce((a, b) => (b < a ? b : a));
      const claimed = paid > channel.claimed ? paid : channel.claimed;
      channels.change(channel.id, { claimed, lanes: [{ lane: 0, paid: claimed }] });
      return 0;
    },
  };
}

const ask = (rig: Rig): ReturnType<Rig['caller']['ask']>['result'] =>
  rig.caller.ask({ target: rig.target, question: QUESTION, priceMax: 1_000n }).result;

describe('claims', () => {
  it('PAY-40 PAY-41: pays exactly the charge, whose attribution it presents, and a second round pays nothing', async () => {
    const rig = await createRig();
    const total = (await ask(rig)).amount + (await ask(rig)).amount;
    const ledger = ledgerOver(rig.channels);
    const claimer = createClaimer({ book: rig.payee, channels: rig.channels, ledger, clock, log });
    expect(await claimer.round()).toEqual({ claimed: 0, waiting: 1, failed: [] });
    expect(await claimer.round({ all: true })).toEqual({ claimed: 1, waiting: 0, failed: [] });
    const claim = ledger.sent[0] as Claim;
    const charge = chargeSchema.decode(claim.charge.payload);
    expect(attributionRoot(suite, claim.attribution)).toEqual(charge.attributionRoot);
    expect(claim.attribution.reduce((sum, { amount }) => sum + amount, 0n)).toBe(total);
    expect(rig.channels.all[0]?.claimed).toBe(total);
    expect(await claimer.round({ all: true })).toEqual({ claimed: 0, waiting: 0, failed: [] });
    expect(ledger.sent).toHaveLength(1);
  });

  it('claims one channel alone where one is named', async () => {
    const rig = await createRig();
    await ask(rig);
    const ledger = ledgerOver(rig.channels);
    const claimer = createClaimer({ book: rig.payee, channels: rig.channels, ledger, clock, log });
    const other = await claimer.round({ all: true, only: hash(77) });
    expect(other).toEqual({ claimed: 0, waiting: 0, failed: [] });
    expect(ledger.sent).toHaveLength(0);
    const { id } = rig.channels.all[0] ?? expect.fail('a channel');
    expect(await claimer.round({ all: true, only: id })).toMatchObject({ claimed: 1 });
  });

  it('PAY-42: what a claim presents is forced to disk before the claim is sent', async () => {
    const store = createMemoryStore();
    let loose = 0;
    const watched: Store = {
      ...store,
      async batch(operations, options) {
        await store.batch(operations, options);
        loose = options?.sync === true ? 0 : loose + 1;
      },
    };
    const rig = await createRig({ payeeStore: watched });
    for (let call = 0; call < 5; call++) await ask(rig);
    expect(loose).toBeGreaterThan(0);
    const ledger = ledgerOver(rig.channels);
    const seen: number[] = [];
    const asked: ClaimLedger = {
      ...ledger,
      submitClaim(claim, options) {
        seen.push(loose);
        return ledger.submitClaim(claim, options);
      },
    };
    const claimer = createClaimer({ book: rig.payee, channels: rig.channels, ledger: asked, clock, log });
    expect(await claimer.round({ all: true })).toMatchObject({ claimed: 1 });
    expect(seen).toEqual([0]);
  });

  it('PAY-42: a claim whose outcome is unknown is looked up and not sent again; a closing channel does not wait', async () => {
    const rig = await createRig();
    await ask(rig);
    const ledger = ledgerOver(rig.channels, [undefined, new SaharaError('peer-unreachable'), 0]);
    const claimer = createClaimer({ book: rig.payee, channels: rig.channels, ledger, clock, log });
    rig.channels.change(rig.channels.all[0]?.id as Uint8Array, { state: 'closing' });
    expect(await claimer.round()).toMatchObject({ claimed: 0, waiting: 1 });
    expect(await claimer.round()).toMatchObject({ failed: [{ code: 'peer-unreachable' }] });
    expect(await claimer.round()).toMatchObject({ claimed: 1 });
    expect(ledger.sent).toHaveLength(1);
  });

  it('PAY-43: earnings by asset, agent and owner sum to what was charged, pending and settled apart', async () => {
    const rig = await createRig();
    const { amount } = await ask(rig);
    const sum = (rows: readonly { readonly total: bigint }[]): bigint =>
      rows.reduce((all, { total }) => all + total, 0n);
    const assets = await earningsByAsset(rig.payee);
    expect(assets.map(({ name }) => name)).toEqual(expect.arrayContaining([AGENT_ASSET, KNOWLEDGE_ASSET]));
    expect(sum(assets)).toBe(amount);
    expect(await earningsByAgent(rig.payee)).toEqual([
      { name: keys.agent.publicKey, total: amount, settled: 0n },
    ]);
    for await (const { lane, amount: due } of claimable(rig.payee, rig.channels)) {
      expect([claimBody(lane)?.attribution.length, due]).toEqual([2, amount]);
    }
    await createClaimer({
      book: rig.payee,
      channels: rig.channels,
      ledger: ledgerOver(rig.channels),
      clock,
      log,
    }).round({ all: true });
    const third = [
      { owner: hash(1), ppm: 333_333 },
      { owner: hash(2), ppm: 666_667 },
    ];
    const { owners, unowned } = await earningsByOwner(rig.payee, {
      ownersOf: (asset) => (Buffer.from(asset).equals(KNOWLEDGE_ASSET) ? third : undefined),
    });
    expect(sum(owners) + sum(unowned)).toBe(amount);
    for (const { total, settled } of [...owners, ...unowned]) expect(settled).toBe(total);
  });
});

describe('claims in time', () => {
  const block = (rig: Rig): BlockEvent => ({
    height: 1,
    headerHash: hash(1),
    stateRoot: hash(2),
    timeMs: 1,
    inclusions: [],
    channels: rig.channels.all.map(({ id }) => id),
    assets: [],
    identities: [],
  });

  /** Watches the rig's channels as the daemon does; the claimer itself never looks again by its clock. */
  function watched(
    rig: Rig,
    voucherKeys: readonly { readonly key: Uint8Array; readonly until: number }[] = [],
    fading = async (): Promise<boolean> => false,
  ): { readonly show: () => void; readonly stop: () => Promise<void> } {
    const listeners = new Set<(event: BlockEvent) => void>();
    const claimer = createClaimer(
      { book: rig.payee, channels: rig.channels, ledger: ledgerOver(rig.channels), clock, log },
      { everyMs: 3_600_000 },
    );
    const ledger = {
      channel: (id: Uint8Array) => {
        const found = rig.channels.channel(id);
        const leaves = found && found.leaving > 0n && { withdrawal: { amount: found.leaving, at: 9 } };
        return found && { ...found, ...leaves, revision: 0, voucherKeys, lanes: [] };
      },
      channelsOf: () => [],
      onBlock(listener: (event: BlockEvent) => void) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    };
    const stop = startClaiming({ ledger, claimer, payee: keys.operator.publicKey, clock, log, fading });
    const show = (): void => {
      for (const listener of listeners) listener(block(rig));
    };
    return { show, stop };
  }

  it('PAY-44: the block that shows a channel closing has it claimed, right after a look that waited', async () => {
    const rig = await createRig();
    const { amount } = await ask(rig);
    const { show, stop } = watched(rig);
    show();
    expect(rig.channels.all[0]?.claimed).toBe(0n);
    rig.channels.change(rig.channels.all[0]?.id as Uint8Array, { state: 'closing' });
    show();
    await expect.poll(() => rig.channels.all[0]?.claimed).toBe(amount);
    await stop();
  });

  it('PAY-46: the block that replaces a voucher key has all of the channel claimed, and the next one again', async () => {
    const rig = await createRig();
    const { amount } = await ask(rig);
    const former = [{ key: keys.stranger.publicKey, until: 50 }];
    const { show, stop } = watched(rig, former);
    show();
    await expect.poll(() => rig.channels.all[0]?.claimed).toBe(amount);
    await ask(rig);
    former.push({ key: keys.contributor.publicKey, until: 60 });
    show();
    await expect.poll(() => rig.channels.all[0]?.claimed).toBe(2n * amount);
    await stop();
  });

  it('PAY-73: while a voucher is by a key that has an end, each block has what is due claimed', async () => {
    const rig = await createRig();
    const { amount } = await ask(rig);
    let asked = 0;
    const { show, stop } = watched(rig, [{ key: keys.stranger.publicKey, until: 50 }], async () => {
      asked++;
      return true;
    });
    for (let calls = 1n; calls <= 3n; calls++) {
      if (calls > 1n) await ask(rig);
      show();
      await expect.poll(() => rig.channels.all[0]?.claimed).toBe(calls * amount);
    }
    expect(asked).toBeGreaterThanOrEqual(3);
    await stop();
  });

  it('PAY-54: the block that announces a withdrawal has the channel claimed', async () => {
    const rig = await createRig();
    const { amount } = await ask(rig);
    const { show, stop } = watched(rig);
    rig.channels.change(rig.channels.all[0]?.id as Uint8Array, { leaving: 1n });
    show();
    await expect.poll(() => rig.channels.all[0]?.claimed).toBe(amount);
    await stop();
  });

  it('PAY-44: a stop claims what is left', async () => {
    const rig = await createRig();
    const { amount } = await ask(rig);
    const { stop } = watched(rig);
    await stop();
    expect(rig.channels.all[0]?.claimed).toBe(amount);
  });

  it('PAY-44: what ended unclaimed is told as lost, and a claim that was paid unheard is not', async () => {
    const rig = await createRig();
    const { amount } = await ask(rig);
    const gone = { channel: () => undefined, between: () => [] };
    const lost = async (): Promise<bigint> => {
      let sum = 0n;
      for await (const found of unpaid(rig.payee, gone)) sum += 'lost' in found ? found.lost : 0n;
      return sum;
    };
    expect(await lost()).toBe(amount);
    const warnings: unknown[] = [];
    const claimer = createClaimer({
      book: rig.payee,
      channels: gone,
      ledger: ledgerOver(rig.channels),
      clock,
      log: { ...log, warn: (event) => warnings.push(event) },
    });
    await claimer.round();
    await claimer.round();
    expect(warnings).toHaveLength(1);
    rig.channels.change(rig.channels.all[0]?.id as Uint8Array, {
      claimed: amount,
      lanes: [{ lane: 0, paid: amount }],
    });
    for await (const _found of unpaid(rig.payee, rig.channels)) expect.unreachable();
    expect(await lost()).toBe(0n);
  });

  it('PAY-44: looks four times within the delay, and no less often than the default', () => {
    const { parameters } = createGenesis({ sequencer: keys.operator.publicKey, createdAtMs: 1 });
    expect([closeDelayMs(parameters), claimPollMs(parameters)]).toEqual([3_600_000, 30_000]);
    expect(claimPollMs({ ...parameters, closeDelayBlocks: 20 })).toBe(5_000);
  });
});
