/** What must hold: now and then while a story runs, and of everything once it has come to rest. */
import { toHex } from '../../src/base/bytes.ts';
import type { EndingRecord } from '../../src/payment/records.ts';
import { didOf } from '../../src/protocol/ids.ts';
import { receipt as receiptSchema } from '../../src/protocol/payment.ts';
import type { Asker } from './asks.ts';
import type { Blocks, ChannelTruth } from './blocks.ts';
import type { Faults } from './faults.ts';
import { GOSSIP_COPY_MS_MAX } from './net.ts';
import type { Running } from './running.ts';
import type { CallTruth } from './truth.ts';
import type { World } from './world.ts';

/** What is checked. */
export interface Story {
  readonly world: World;
  readonly asker: Asker;
  readonly blocks: Blocks;
  readonly faults: Faults;
  readonly rogues: readonly Rogue[];
}

/** A party that plays tricks. */
export interface Rogue {
  schedule(): void;
  /** Whether a trick is under way. */
  readonly busy: boolean;
}

/** Life of an advert: three heartbeats. */
const ADVERT_MS = 60_000;
const LOOK_EVERY_MS = 2_000;
/** Time for the last claims, and where silence has to be noticed first. */
const CLAIM_MS = 20_000;
const SILENCE_MS = 80_000;
const REPLAY_MAX = 1_000_000;

/** Listings, limits and calls that should be over. */
export function checkWhileRunning({ world, asker, faults }: Story): void {
  const { truth, scheduler, parties, plan } = world;
  // A copy of an advert that comes late may still be taken by a clock that went back.
  const lateMs = faults.jumped ? GOSSIP_COPY_MS_MAX : 2 * plan.faults.skewMs + 5_000;
  const agents = new Map(world.agents().map((agent) => [didOf(agent.card.agent), agent]));
  for (const { running, name } of parties) {
    if (!running) continue;
    for (const listing of running.directory.agents()) {
      const agent = agents.get(listing.did);
      const host = agent && world.hostOf(agent);
      if (!host || host.up) continue;
      const deadMs = scheduler.nowMs - host.downSinceMs;
      truth.demand(
        deadMs <= ADVERT_MS + lateMs,
        () => `${name} lists an agent of ${host}, dead for ${deadMs} ms`,
      );
    }
    truth.demand(
      running.replay.size <= REPLAY_MAX,
      () => `${name} remembers ${running.replay.size} messages`,
    );
  }
  for (const { id, running, end, dueAtMs } of asker.asked) {
    if (end !== undefined || !running.life.alive) continue;
    truth.demand(
      scheduler.nowMs <= dueAtMs,
      () => `call ${id} has not ended ${scheduler.nowMs - dueAtMs} ms after it should`,
    );
  }
}

/** Lets everything come to rest, claims what is due, and compares all books with the truth. */
export async function checkAtRest(story: Story, restMsMax: number): Promise<void> {
  const { world, blocks } = story;
  const { scheduler, truth, parties } = world;
  const untilMs = scheduler.nowMs + restMsMax;
  let busy: string | undefined = 'starting';
  while (busy !== undefined && scheduler.nowMs < untilMs) {
    await scheduler.advance(scheduler.nowMs + LOOK_EVERY_MS);
    blocks.follow();
    checkWhileRunning(story);
    busy = whatIsBusy(story);
  }
  truth.demand(busy === undefined, () => `not at rest ${restMsMax} ms after the last fault: ${busy}`);
  await scheduler.advance(scheduler.nowMs);
  // Who went down without a sound may be thought to be there for a while, and a claim that is sent to it waits.
  const silent = parties.some(({ crashes }) => crashes.power + crashes.lost > 0);
  for (const { running } of parties) void running?.claimer.round({ all: true });
  await scheduler.advance(scheduler.nowMs + (silent ? SILENCE_MS : CLAIM_MS));
  blocks.look();
  await scheduler.advance(scheduler.nowMs + 1_000);
  checkWhileRunning(story);
  await checkBooks(story);
  await scheduler.advance(scheduler.nowMs);
}

/** Why a story has not come to rest, if it has not. */
function whatIsBusy({ world, asker, blocks, rogues }: Story): string | undefined {
  const { parties, truth, sequencer } = world;
  const head = sequencer.running?.ledger.head().height;
  for (const party of parties) {
    const { running, name } = party;
    if (!running) return `${name} is not up`;
    if (running.ledger.head().height !== head) return `${name} has not all blocks`;
    if (running.host.running > 0) return `${name} still answers`;
    // A rogue may leave a call open for as long as its stream lasts.
    if (truth.rogues.size === 0 && running.mesh.activeCalls > 0)
      return `${name} has ${running.mesh.activeCalls} calls on its streams`;
    for (const row of running.payer.balances()) {
      const channel = blocks.channels.get(toHex(row.channel));
      if (!channel || channel.ended || row.disputed || truth.rogues.has(channel.payee)) continue;
      if (row.reserved > 0n) return `${name} holds ${row.reserved} grains for calls to ${channel.payee}`;
    }
  }
  if (rogues.some(({ busy }) => busy)) return 'tricks are under way';
  if (asker.busy) return 'questions are still to come';
  const waiting = asker.asked.find(({ end, running }) => end === undefined && running.life.alive);
  return waiting && `call ${waiting.id} has not ended`;
}

async function checkBooks(story: Story): Promise<void> {
  const { world, blocks } = story;
  const { truth, parties, scheduler } = world;
  for (const channel of blocks.channels.values()) {
    const { payer, payee } = channel;
    if (!payer.running || !payee.running || truth.rogues.has(payee)) continue;
    const checking = checkChannel(story, channel, { payer: payer.running, payee: payee.running });
    let done = false;
    checking.then(
      () => {
        done = true;
      },
      (error: unknown) => scheduler.fail(error),
    );
    await scheduler.advance(scheduler.nowMs + 10_000, () => done);
  }
  for (const call of truth.calls.values()) await checkCall(story, call);
  for (const { running, name } of parties) {
    const quiet = truth.rogues.size > 0 || running?.mesh.activeCalls === 0;
    truth.demand(quiet, () => `${name} has calls on its streams`);
  }
}

/** What a paid call cost against what was delivered of it: exact, and where it was cut one step off at most. */
async function checkCall({ world }: Story, call: CallTruth): Promise<void> {
  if (call.mixed) return;
  const { truth, parties, scheduler } = world;
  const payee = call.agent && world.hostOf(call.agent);
  const payer = parties.find(({ signer }) => toHex(signer.publicKey) === call.caller);
  if (
    !call.paid ||
    !payee?.running ||
    truth.rogues.has(payee) ||
    payee.crashes.power + payee.crashes.lost > 0
  )
    return;
  const found = payee.running.payee.endingOf(new Uint8Array(Buffer.from(call.id, 'hex')));
  let ending: Awaited<typeof found> | 'asking' = 'asking';
  found.then(
    (kept) => {
      ending = kept;
    },
    (error: unknown) => scheduler.fail(error),
  );
  await scheduler.advance(scheduler.nowMs + 1_000, () => ending !== 'asking');
  const receipt =
    typeof ending === 'object' ? receiptSchema.decode((ending as EndingRecord).receipt.payload) : undefined;
  const charged = receipt?.amount ?? 0n;
  if (payer && !truth.rogues.has(payer)) {
    const off = charged - truth.worth(call, call.received);
    truth.demand(
      charged === 0n || off <= call.step,
      () =>
        `call ${call.id} cost ${charged}, ${off} more than what came of it; at stake were ${call.step} at a time`,
    );
  }
  if (call.counter.count === 0 || receipt?.finish === 'nothing-found') return;
  const worth = truth.worth(call, call.frames.length);
  const lost = worth - charged;
  const least = truth.worth(call, 0);
  const bound = payee.crashes.kill === 0 ? 0n : call.step + (charged === 0n ? least : 0n);
  // A host keeps its own ledger; one that borrows it here may find none to take its calls up with.
  const { lender } = payee.parts;
  if (charged === 0n && payee.crashes.kill > 0 && lender !== undefined && lender().crashes.kill > 0) return;
  truth.demand(
    lost <= bound,
    () => `call ${call.id}: ${worth} were delivered, ${charged} charged, ${bound} may be lost`,
  );
}

async function checkChannel(
  { world }: Story,
  channel: ChannelTruth,
  running: { readonly payer: Running; readonly payee: Running },
): Promise<void> {
  const { truth } = world;
  const { payer, payee } = channel;
  const lanes = await running.payee.payee.lanes.ofChannel(channel.key);
  const pair = `${payer} -> ${payee}`;
  const charged = lanes.reduce((sum, lane) => sum + lane.charged, 0n);
  for (const lane of lanes) {
    const endings = await running.payee.payee.lanes.endings(lane, 0, Number.MAX_SAFE_INTEGER);
    const receipts = endings.map(({ receipt }) => receiptSchema.decode(receipt.payload));
    const ids = new Set(receipts.map(({ callId }) => toHex(callId)));
    truth.demand(ids.size === receipts.length, () => `${pair}: a call was charged twice`);
    const sum = receipts.reduce((total, { amount }) => total + amount, 0n);
    const ceiling = lane.voucher?.terms.ceiling ?? 0n;
    truth.demand(lane.charged <= ceiling, () => `${pair}: charged ${lane.charged}, promised were ${ceiling}`);
    const whole = payee.crashes.power === 0;
    truth.demand(
      !whole || sum === lane.charged,
      () => `${pair}: receipts come to ${sum}, charged were ${lane.charged}`,
    );
    truth.demand(
      !whole || receipts.length === lane.count,
      () => `${pair}: ${receipts.length} of ${lane.count} receipts`,
    );
  }
  const { deposit, state } = running.payee.ledger.channel(channel.key) ?? {};
  if (state === 'open') {
    const due = charged < (deposit ?? 0n) ? charged : (deposit ?? 0n);
    const known = payee.crashes.lost === 0;
    truth.demand(
      known ? channel.claimed === due : channel.claimed >= due,
      () => `${pair}: charged were ${charged}, the ledger paid ${channel.claimed}`,
    );
  }
  const unharmed = payee.crashes.power + payee.crashes.lost === 0;
  truth.demand(
    state !== undefined || !unharmed || channel.claimed === charged,
    () => `${pair}: the channel ended with ${channel.claimed} of ${charged} claimed`,
  );
  if (truth.rogues.has(payer) || !unharmed) return;
  // What was not written yet when it went down it asks for when it pays again.
  const { kill, power, lost } = payer.crashes;
  const payerLost = kill + power + lost > 0;
  const row = running.payer.payer.balances().find((one) => toHex(one.channel) === channel.id);
  if (!row) {
    truth.demand(charged === 0n || payerLost, () => `${pair}: the payer knows nothing of ${charged}`);
    return;
  }
  truth.demand(!row.disputed, () => `${pair}: two honest parties are in dispute`);
  const healed = row.charged === charged || (payerLost && row.charged <= charged);
  truth.demand(healed, () => `${pair}: the payee charged ${charged}, the payer accepted ${row.charged}`);
}
