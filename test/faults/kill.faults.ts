/**
 * `kill -9` at every labelled point (`src/base/points.ts`): the process dies there, starts again, and whatever the
 * moment, both sides agree afterwards on what was charged and everything that proves something proves it.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Point } from '../../src/base/points.ts';
import { SCENARIOS, type Scenario, type Work } from './scenarios.ts';
import { expectLedgers, expectSettled } from './settled.ts';
import { tellMe } from './teller.ts';
import { died, eventually, startTown, type Town } from './town.ts';

const only = process.env.FAULTS_ONLY?.split(',');
const short = process.env.FAULTS_SHORT !== undefined;
const all = Object.entries(SCENARIOS) as [Point, Scenario][];
const chosen = all.filter(([label], i) => (only ? only.includes(label) : !short || i % 4 === 0));

let town: Town;
let payee = '';
beforeAll(async () => {
  town = await startTown();
  payee = (await town.of.host.client.call('status', {})).did;
});
afterAll(() => town?.stop());

/** Keeps the victim at work until it dies. */
async function workUntil(over: Promise<unknown>, work: () => Promise<unknown>): Promise<void> {
  let dead = false;
  const death = over.then(() => {
    dead = true;
  });
  const untilMs = Date.now() + 60_000;
  while (!dead) {
    if (Date.now() > untilMs) throw new Error('the point was not reached');
    await Promise.race([work(), death]);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const pass = (): void => {};

/** One go at what brings a process to its point. What fails, fails: the victim may have died. */
const WORK: Readonly<Record<Exclude<Work, 'start' | 'recover'>, () => Promise<unknown>>> = {
  ask: () => town.ask('guide', 'What is a voucher?'),
  tell: () => town.ask('teller', tellMe(40, 2)),
  leave: () => town.ask('teller', tellMe(40, 5), { stopAfter: 200 }),
  async resume() {
    const asking = town.ask('teller', tellMe(60, 20));
    await new Promise((resolve) => setTimeout(resolve, 500));
    await town.of.caller.kill();
    await asking;
    await town.start('caller');
  },
  async claim() {
    await town.ask('guide', 'What is a claim?');
    await town.of.host.client.call('channel.claim', {}).catch(pass);
  },
  async open() {
    await town.of.caller.client.call('channel.open', { payee, deposit: '1000000000' }).catch(pass);
  },
};

async function strike(label: Point, { victim, work, hit = 1 }: Scenario): Promise<void> {
  const peer = town.of[victim];
  const plan = `${label}=${hit}:kill`;
  if (work === 'start' || work === 'recover') {
    // Dies with something in its tail or behind a checkpoint, and again while it takes that up.
    await town.order(victim, work === 'start' ? 'tail:appended=kill' : 'host:kept=kill');
    await workUntil(peer.ended ?? Promise.resolve(), work === 'start' ? WORK.ask : WORK.tell);
    await town.start(victim, plan).catch(pass);
  } else {
    await town.order(victim, plan);
    await workUntil(peer.ended ?? Promise.resolve(), WORK[work]);
  }
  await died(peer, label);
  await town.start(victim);
}

describe('kill -9', () => {
  it.each(chosen)('at %s', async (label, scenario) => {
    try {
      await strike(label, scenario);
      await expectSettled(town, label);
    } finally {
      // One point that fails is no reason for the next to.
      if (!town.of[scenario.victim].running) await town.start(scenario.victim);
    }
  });

  it('leaves a ledger on which everything adds up', async () => {
    const { host, ledger } = town.of;
    await eventually('the host claims', async () => {
      await host.client.call('channel.claim', {});
      const rows = (await host.client.call('channel.list', {})).filter(({ role }) => role === 'payee');
      return rows.every(({ claimed, charged }) => claimed === charged) ? true : undefined;
    });
    const rows = (await host.client.call('channel.list', {})).filter(({ role }) => role === 'payee');
    const { assets } = await host.client.call('earnings', {});
    expect(assets.reduce((sum, { received }) => sum + BigInt(received), 0n)).toBe(
      rows.reduce((sum, { charged }) => sum + BigInt(charged), 0n),
    );
    await expectLedgers(town, 'at the end');
    const { supply } = await ledger.client.call('ledger.status', {});
    expect(BigInt(supply)).toBeGreaterThan(0n);
  });
});
