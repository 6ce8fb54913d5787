/**
 * `kill -9` at every labelled point (`src/base/points.ts`): the process dies there, starts again, and whatever the
 * moment, both sides agree afterwards on what was charged and everything that proves something proves it.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Point } from '../../src/base/points.ts';
import { SCENARIOS, type Scenario, type Work } from './scenarios.ts';
import { expectLedgers, expectPaidOnce, expectSettled } from './settled.ts';
import { tellMe } from './teller.ts';
import { died, eventually, type Role, startTown, type Town } from './town.ts';

const only = process.env.FAULTS_ONLY?.split(',');
const short = process.env.FAULTS_SHORT !== undefined;
const all = Object.entries(SCENARIOS) as [Point, Scenario][];
const chosen = all
  .filter(([label], i) => (only ? only.includes(label) : !short || i % 4 === 0))
  // Those that need strangers first, those behind a gateway last.
  .sort(([, a], [, b]) => placeOf(a) - placeOf(b));
/** After so many answers a payee is nearly known so well that whole prices are put at stake with it. */
const STRANGER_ANSWERS_MAX = 10;

function placeOf({ metered = false, relayed = false }: Scenario): number {
  return Number(relayed) * 2 - Number(metered);
}

let town: Town;
let isRelayed = false;
let payee = '';
async function begin(relayed = false): Promise<void> {
  await town?.stop();
  isRelayed = relayed;
  town = await startTown({ relayed });
  payee = (await town.of.host.client.call('status', {})).did;
}

beforeAll(() => begin());
afterAll(() => town?.stop());

/** Keeps the victim at work until it dies. */
async function workUntil(over: Promise<unknown>, work: () => Promise<unknown>): Promise<void> {
  let dead = false;
  const death = over.then(() => {
    dead = true;
  });
  const untilMs = Date.now() + 150_000;
  while (!dead) {
    if (Date.now() > untilMs) throw new Error('the point was not reached');
    await Promise.race([work(), death]);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const pass = (): void => {};

/** One go at what brings a process to its point. What fails, fails: the victim may have died. */
const WORK: Readonly<Record<Work, () => Promise<unknown>>> = {
  ask: () => town.ask('guide', 'What is a voucher?'),
  tell: () => town.ask('teller', tellMe(40, 2)),
  once: () => town.payOnce('guide', 'What is a grain?'),
  leave: () => town.ask('teller', tellMe(40, 5), { stopAfter: 200 }),
  async claim() {
    await town.ask('guide', 'What is a claim?');
    await town.of.host.client.call('channel.claim', {}).catch(pass);
  },
  async open() {
    await town.of.caller.client.call('channel.open', { payee, deposit: '1000000000' }).catch(pass);
  },
  async rotate() {
    for (const { client } of [town.of.caller, town.of.host]) {
      await client.call('identity.init', {}).catch(pass);
      await client.call('identity.rotate', {}).catch(pass);
    }
    await town.ask('guide', 'What is a key?');
  },
  async 'voucher-key'() {
    const { client } = town.of.caller;
    const [open] = (await client.call('channel.list', {}).catch(() => [])).filter(
      ({ state }) => state === 'open',
    );
    if (open !== undefined) await giveVoucherKey(client, open.id).catch(pass);
    await town.ask('guide', 'What is a key?');
  },
  async renew() {
    const { client } = town.of.caller;
    for (const { id, state } of await client.call('channel.list', {}).catch(() => []))
      if (state === 'open') await client.call('channel.close', { channel: id }).catch(pass);
    await town.ask('guide', 'What is a channel?');
  },
  async cut() {
    const { ended } = await inTheMiddle();
    await town.of.host.kill();
    await town.start('host');
    await ended;
  },
  start: () => WORK.ask(),
  recover: () => WORK.tell(),
  back: () => WORK.tell(),
  again: () => WORK.ask(),
};

/** A long answer of which something has come; the promise inside resolves with its end. */
async function inTheMiddle(): Promise<{ readonly ended: Promise<unknown> }> {
  const begun = Promise.withResolvers<void>();
  let pieces = 0;
  const onText = (): void => {
    if (++pieces === 30) begun.resolve();
  };
  const ended = town.ask('teller', tellMe(120, 20), { onText }).finally(() => begun.resolve());
  await begun.promise;
  return { ended };
}

/** Brings the victim to where its fault can only strike at or after its next start, and starts it with `plan`. */
const BEFORE: Readonly<Partial<Record<Work, (victim: Role, plan: string) => Promise<unknown>>>> = {
  start: (victim, plan) => dieAt(victim, 'tail:appended', plan),
  recover: (victim, plan) => dieAt(victim, 'host:kept', plan),
  async back(victim, plan) {
    await inTheMiddle();
    await town.of[victim].kill();
    await town.start(victim, plan).catch(pass);
  },
  async again(victim, plan) {
    await town.of[victim].kill();
    await town.start(victim, plan).catch(pass);
  },
};

async function dieAt(victim: Role, label: Point, plan: string): Promise<void> {
  const { ended } = town.of[victim];
  await town.order(victim, `${label}=kill`);
  await workUntil(ended ?? Promise.resolve(), label === 'host:kept' ? WORK.tell : WORK.ask);
  // It may die again before it is ready.
  await town.start(victim, plan).catch(pass);
}

/** Gives a channel another voucher key, its first if it has none. */
async function giveVoucherKey(client: Town['of'][Role]['client'], channel: string): Promise<void> {
  const { key, pending } = await client.call('channel.voucherKey', { channel });
  const change = key === undefined && pending === undefined ? 'set' : 'rotate';
  await client.call('channel.voucherKey', { channel, change });
}

/** What was begun takes effect or is begun anew, and a key of the channel signs in the end (PAY-74). */
async function expectVoucherKey(): Promise<void> {
  const { client } = town.of.caller;
  const open = await eventually('a channel is open', async () =>
    (await client.call('channel.list', {})).find(({ state, role }) => state === 'open' && role === 'payer'),
  );
  await giveVoucherKey(client, open.id);
  expect(await client.call('channel.voucherKey', { channel: open.id })).toMatchObject({ signs: true });
  await eventually('the guide answers', async () => (await town.ask('guide', 'What is a key?')).amount);
}

/** What was begun takes effect or is begun anew, and every key that may sign is there (ID-37). */
async function expectKeys(victim: Role): Promise<void> {
  const { client } = town.of[victim];
  await eventually('every key is there', async () => {
    const { here } = await client.call('identity.show', {});
    return here?.signing && here.next ? true : undefined;
  });
  await client.call('identity.rotate', {});
  await eventually('the guide answers', async () => (await town.ask('guide', 'What is a key?')).amount);
}

async function strike(label: Point, { victim, work, hit = 1 }: Scenario): Promise<void> {
  const plan = `${label}=${hit}:kill`;
  const before = BEFORE[work];
  await (before ? before(victim, plan) : town.order(victim, plan));
  await workUntil(town.of[victim].ended ?? Promise.resolve(), WORK[work]);
  await died(town.of[victim], label);
  await town.start(victim);
}

describe('kill -9', () => {
  it.each(chosen)('at %s', async (label, scenario) => {
    const answers = town.asked.filter(({ amount }) => amount !== undefined).length;
    const strangers = scenario.metered && answers > STRANGER_ANSWERS_MAX;
    if (strangers || (scenario.relayed ?? false) !== isRelayed) await begin(scenario.relayed);
    try {
      await strike(label, scenario);
      if (scenario.work === 'rotate') await expectKeys(scenario.victim);
      if (scenario.work === 'voucher-key') await expectVoucherKey();
      await expectSettled(town, label);
      if (scenario.work === 'once') await expectPaidOnce(town, label);
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
      rows.reduce((sum, { charged }) => sum + BigInt(charged), await expectPaidOnce(town, 'at the end')),
    );
    await expectLedgers(town, 'at the end');
    const { supply } = await ledger.client.call('ledger.status', {});
    expect(BigInt(supply)).toBeGreaterThan(0n);
  });
});
