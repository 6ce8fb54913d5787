import { describe, expect, it } from 'vitest';
import { SaharaError } from '../../src/base/errors.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { release } from '../../src/protocol/payment.ts';
import { checkSigned, type Signed } from '../../src/protocol/signing.ts';
import { nativeSuite as suite } from '../../src/protocol/suite-native.ts';
import {
  CHANNEL,
  Channels,
  createRig,
  keys,
  NETWORK,
  openChannel,
  QUESTION,
  type Rig,
} from '../calls/rig.ts';

const DEPOSIT = 10_000n;
const payer = keys.payer.publicKey;
const ask = (rig: Rig): ReturnType<Rig['caller']['ask']>['result'] =>
  rig.caller.ask({ target: rig.target, question: QUESTION, priceMax: 1_000n }).result;

describe('releases', () => {
  it('PAY-66 PAY-68 PAY-69: what was never promised is released, to the grain, signed by the payee', async () => {
    const rig = await createRig({ channels: new Channels(openChannel(DEPOSIT)) });
    await ask(rig);
    const [lane] = rig.payer.lanes();
    const free = DEPOSIT - (lane?.promised ?? 0n);
    const wanted = { channel: CHANNEL, released: true };
    const seen: Signed[] = [];
    const take = async (signed: Signed | undefined): Promise<void> => {
      seen.push(signed ?? expect.fail('a release'));
    };
    for (const amount of [0n, free + 1n])
      await expect(rig.payer.withdraw({ ...wanted, amount }, take)).rejects.toMatchObject({
        code: 'funds-insufficient',
      });
    await rig.payer.withdraw({ ...wanted, amount: free }, take);
    const [signed = expect.fail('a release')] = seen;
    expect(release.decode(signed.payload)).toEqual({
      network: NETWORK,
      channel: CHANNEL,
      depositAfter: DEPOSIT - free,
      sequence: 0,
    });
    expect(checkSigned(suite, NETWORK, 'release', keys.operator.publicKey, signed)).toBeUndefined();
    // The ledger took it out, and somebody filled up: the channel goes on.
    const before = lane?.charged ?? 0n;
    rig.channels.change(CHANNEL, { deposit: DEPOSIT - free + 2_000n, revision: 2 });
    expect((await ask(rig)).amount).toBeGreaterThan(0n);
    expect(rig.payer.lanes()[0]?.charged).toBeGreaterThan(before);
  });

  it('PAY-66: nothing that is charged or held for a call is released, to the payer alone', async () => {
    const rig = await createRig({ channels: new Channels(openChannel(DEPOSIT)) });
    const { amount: charged, evidence, receipt } = await ask(rig);
    const hold = await rig.payee.admit({
      callId: crypto.getRandomValues(new Uint8Array(16)),
      payer,
      voucher: evidence.opening.voucher ?? expect.fail('a paid call'),
      requestHash: receipt.requestHash,
      agentAsset: receipt.shares[0]?.asset ?? expect.fail('a share'),
      amountMax: 1n,
      holdMs: 60_000,
    });
    const free = DEPOSIT - charged - 1n;
    const asked = (amount: bigint, by = payer): Promise<Signed> =>
      rig.payee.release({ payer: by, channel: CHANNEL, amount });
    await expect(asked(free + 1n)).rejects.toMatchObject({
      code: 'funds-insufficient',
      facts: { left: `${free}` },
    });
    await expect(asked(1n, keys.stranger.publicKey)).rejects.toMatchObject({ code: 'channel-unknown' });
    await asked(free);
    await expect(asked(1n)).rejects.toMatchObject({ code: 'funds-insufficient', facts: { left: '0' } });
    hold.release();
  });

  it('PAY-67: what was released serves no call, also after a restart and on another lane, until the deposit changes', async () => {
    const payeeStore = createMemoryStore();
    const rig = await createRig({ channels: new Channels(openChannel(DEPOSIT)), payeeStore });
    const { amount } = await ask(rig);
    await rig.payee.release({ payer, channel: CHANNEL, amount: DEPOSIT - amount });
    await expect(ask(rig)).rejects.toMatchObject({ code: 'voucher-insufficient' });
    for (const payeeLane of [0, 5]) {
      const again = await createRig({ channels: rig.channels, payeeStore, payeeLane });
      await expect(ask(again)).rejects.toMatchObject({ code: 'voucher-insufficient' });
    }
    // A top-up makes the release void.
    rig.channels.change(CHANNEL, { deposit: DEPOSIT + 1n, revision: 1 });
    const after = await createRig({ channels: rig.channels, payeeStore });
    expect((await ask(after)).amount).toBe(amount);
  });

  it('PAY-68: while a withdrawal is under way nothing of it is promised, and what failed is there again', async () => {
    const rig = await createRig({ channels: new Channels(openChannel(DEPOSIT)) });
    await ask(rig);
    const promised = rig.payer.lanes()[0]?.promised ?? 0n;
    const wanted = { channel: CHANNEL, amount: DEPOSIT - promised, released: false };
    const refused = rig.payer.withdraw(wanted, async () => {
      await expect(ask(rig)).rejects.toMatchObject({ code: 'funds-insufficient' });
      throw new SaharaError('tx-refused');
    });
    await expect(refused).rejects.toMatchObject({ code: 'tx-refused' });
    expect((await ask(rig)).amount).toBeGreaterThan(0n);
    // One whose end is unknown stays aside until the deposit says what became of it.
    const more = { ...wanted, amount: DEPOSIT - (rig.payer.lanes()[0]?.promised ?? 0n) };
    const unheard = rig.payer.withdraw(more, () => Promise.reject(new SaharaError('deadline-exceeded')));
    await expect(unheard).rejects.toMatchObject({ code: 'deadline-exceeded' });
    await expect(ask(rig)).rejects.toMatchObject({ code: 'funds-insufficient' });
    rig.channels.change(CHANNEL, { revision: 1 });
    expect((await ask(rig)).amount).toBeGreaterThan(0n);
  });

  it('PAY-68: a payer that goes down while a withdrawal is under way promises nothing of it when it is back', async () => {
    for (const released of [true, false]) {
      const payerStore = createMemoryStore();
      const options = { channels: new Channels(openChannel(DEPOSIT)), payerStore };
      const rig = await createRig(options);
      const promised = rig.payer.lanes()[0]?.promised ?? 0n;
      const wanted = { channel: CHANNEL, amount: DEPOSIT - promised - 1n, released };
      const reached = Promise.withResolvers<void>();
      // It is killed with its transaction on the way: nothing that comes after this is heard of.
      const lost = rig.payer.withdraw(wanted, () => {
        reached.resolve();
        return new Promise<never>(() => {});
      });
      lost.catch(() => {});
      await reached.promise;
      const after = await createRig(options);
      await expect(ask(after)).rejects.toMatchObject({ code: 'funds-insufficient' });
      // Asked for again it is the same one, which can happen once only.
      const again = after.payer.withdraw(wanted, () => Promise.reject(new SaharaError('tx-refused')));
      await expect(again).rejects.toMatchObject({ code: 'tx-refused' });
      await expect(ask(after)).rejects.toMatchObject({ code: 'funds-insufficient' });
      const both = { ...wanted, released: !released };
      await expect(after.payer.withdraw(both, async () => {})).rejects.toMatchObject({
        code: 'funds-insufficient',
      });
      // The channel shows what became of it: it counts once.
      rig.channels.change(
        CHANNEL,
        released ? { revision: 1, deposit: DEPOSIT } : { leaving: DEPOSIT - 5_000n },
      );
      const next = await createRig(options);
      expect((await ask(next)).amount).toBeGreaterThan(0n);
    }
  });
});
