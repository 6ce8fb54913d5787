/** A call that comes before its payee's ledger has the block with its channel. */
import { describe, expect, it } from 'vitest';
import { ChannelWait } from '../../src/payment/channel-wait.ts';
import {
  CHANNEL_WAIT_MS,
  CHANNEL_WAITERS_MAX,
  CHANNEL_WAITERS_PER_PAYER_MAX,
} from '../../src/payment/limits.ts';
import { CALL_FRAME } from '../../src/protocol/call.ts';
import {
  createHostRig,
  type HostRig,
  openingOf,
  Purse,
  settle,
  TestClock,
  type Wire,
  wordAnswerer,
} from './host-rig.ts';
import { CHANNEL, Channels, openChannel } from './rig.ts';

interface Late {
  readonly rig: HostRig;
  readonly clock: TestClock;
  readonly answerer: ReturnType<typeof wordAnswerer>;
  /** Opens a call under this number. */
  ask(id: number): Promise<Wire>;
}

/** A host whose ledger knows no channel. */
async function late(): Promise<Late> {
  const clock = new TestClock();
  const answerer = wordAnswerer(3);
  const rig = await createHostRig({ channels: new Channels(), clock, answerer });
  const purse = new Purse();
  const ask = async (id: number): Promise<Wire> => {
    const wire = rig.stream();
    wire.send(CALL_FRAME.opening, openingOf({ id, clock }, purse));
    await settle();
    return wire;
  };
  return { rig, clock, answerer, ask };
}

describe('a channel that the ledger does not have yet', () => {
  it('PAY-79: is looked for again, and its call served once it is there', async () => {
    const { rig, clock, answerer, ask } = await late();
    const wire = await ask(1);
    await clock.pass(CHANNEL_WAIT_MS / 2);
    expect(wire.over).toBe(false);
    expect(answerer.made).toBe(0);
    rig.channels.all.push(openChannel());
    await clock.pass(CHANNEL_WAIT_MS / 2);
    expect(wire.failure).toBeUndefined();
    expect(wire.text).toBe('word0 word1 word2 ');
    expect(await rig.charged()).toBe(wire.receipt?.amount);
  });

  it('PAY-79: is refused when it does not come in time, with no work done, and may be asked again', async () => {
    const { rig, clock, answerer, ask } = await late();
    const wire = await ask(1);
    await clock.pass(CHANNEL_WAIT_MS - 1);
    expect(wire.over).toBe(false);
    await clock.pass(1);
    expect(wire.failure?.code).toBe('channel-unknown');
    expect(answerer.made).toBe(0);
    expect(rig.host.running).toBe(0);
    rig.channels.all.push(openChannel());
    const again = await ask(1);
    expect(again.receipt?.amount).toBeGreaterThan(0n);
  });

  it('PAY-79: is not waited for once the caller has left', async () => {
    const { rig, clock, ask } = await late();
    const wire = await ask(1);
    await clock.pass(100);
    expect(rig.host.running).toBe(1);
    wire.cancel();
    await settle();
    expect(rig.host.running).toBe(0);
  });

  it('PAY-79: is waited for by a few calls of one payer, and some in all', async () => {
    const clock = new TestClock();
    const channels = new Channels();
    const wait = new ChannelWait({ channels, clock });
    const payer = (number: number): Uint8Array => new Uint8Array(32).fill(number);
    const ended: string[] = [];
    const find = (number: number): void => {
      void wait.find({ channel: CHANNEL, payer: payer(number) }).then((found) => {
        ended.push(`${number} ${found === undefined ? 'refused' : 'served'}`);
      });
    };
    for (let call = 0; call <= CHANNEL_WAITERS_PER_PAYER_MAX; call++) find(1);
    await settle();
    expect(ended).toEqual(['1 refused']);
    const others = CHANNEL_WAITERS_MAX - CHANNEL_WAITERS_PER_PAYER_MAX;
    for (let other = 0; other <= others; other++) find(2 + other);
    await settle();
    expect(ended).toEqual(['1 refused', `${2 + others} refused`]);
    channels.all.push(openChannel());
    await clock.pass(CHANNEL_WAIT_MS);
    expect(ended.filter((end) => end.endsWith('served'))).toHaveLength(CHANNEL_WAITERS_MAX);
    // Those who left made room.
    channels.all.length = 0;
    find(1);
    await settle();
    expect(ended).toHaveLength(CHANNEL_WAITERS_MAX + 2);
  });
});
