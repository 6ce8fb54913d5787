import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type KeptCall, openRunningCalls } from '../../src/agent/running-calls.ts';
import { utf8 } from '../../src/base/bytes.ts';
import { openLevelStore } from '../../src/base/level-store.ts';
import { createMemoryStore, prefixed, type Store } from '../../src/base/store.ts';
import { CALL_FRAME } from '../../src/protocol/call.ts';
import { failingAt } from '../payment/failing-store.ts';
import {
  callIdOf,
  createHostRig,
  type HostRig,
  type HostRigOptions,
  LEAST,
  openingOf,
  Purse,
  resumeOf,
  settle,
  snapshot,
  textOf,
  topUpOf,
  type Wire,
  WORD,
  wordAnswerer,
} from './host-rig.ts';
import { openChannel, source } from './rig.ts';

const COVER = LEAST + 40n * WORD;

async function pausedAt(store: Store, purse: Purse, options: HostRigOptions = {}): Promise<[HostRig, Wire]> {
  const rig = await createHostRig({ ...options, store });
  const wire = rig.stream();
  wire.send(CALL_FRAME.opening, openingOf({ id: 1, cover: COVER }, purse));
  await wire.until(() => wire.stages.includes('paused'));
  return [rig, wire];
}

function resume(rig: HostRig, body: Uint8Array): Wire {
  const wire = rig.stream();
  wire.send(CALL_FRAME.resume, body);
  return wire;
}

const words = (from: number, to: number): string =>
  Array.from({ length: to - from }, (_, i) => `word${from + i} `).join('');

const PARTS = [
  { type: 'source', source },
  { type: 'delta', text: 'A payee claims', citations: [] },
  {
    type: 'delta',
    text: ' with the last voucher. ',
    citations: [{ start: 0, end: 37, source: 0, sourceStart: 0, sourceEnd: 37 }],
  },
] as const;

describe('a host that was killed', () => {
  it('CALL-57 CALL-67 CALL-68: takes a metered call up where it was kept, and goes on with the same bytes', async () => {
    const store = createMemoryStore();
    const purse = new Purse();
    const answerer = (): ReturnType<typeof wordAnswerer> => wordAnswerer(60, { parts: PARTS });
    const [, wire] = await pausedAt(store, purse, { answerer: answerer() });
    const disk = await snapshot(store);
    const after = await createHostRig({ store: disk, answerer: answerer() });
    expect(await after.payee.endingOf(callIdOf(1))).toBe('running');
    const early = resume(after, resumeOf(1, wire.deliveries));
    await early.until();
    expect(early.failure).toMatchObject({ code: 'overloaded', facts: { reason: 'starting' } });
    await after.host.recover();
    expect([after.host.running, await after.payee.endingOf(callIdOf(1))]).toEqual([1, 'running']);
    const more = { cover: 1_000n, voucher: purse.more(1_000n - COVER) };
    const second = resume(after, resumeOf(1, wire.deliveries.slice(0, 10), more));
    await second.until();
    expect(second.deliveries.slice(0, wire.deliveries.length - 10)).toEqual(wire.deliveries.slice(10));
    expect(textOf([...wire.deliveries.slice(0, 10), ...second.frames])).toBe(
      `A payee claims with the last voucher. ${words(0, 60)}`,
    );
    expect(second.receipt).toMatchObject({ finish: 'done', outputUnits: 67, amount: LEAST + 67n * WORD });
    expect(second.checkpoints[0]?.sequence).toBe(wire.checkpoints.length - 1);
    expect(second.checkpoints.map(({ sequence }) => sequence)).toEqual(
      second.checkpoints.map((_, i) => wire.checkpoints.length - 1 + i),
    );
    expect(await after.charged()).toBe(LEAST + 67n * WORD);
    const again = resume(after, resumeOf(1, []));
    await again.until();
    expect(again.receiptBytes).toBe(second.receiptBytes);
    await after.flushed();
    expect(await remaining(disk)).toBe(0);
  });

  it('CALL-57: what a real database holds when a checkpoint leaves is enough to go on, without any goodbye', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sahara-host-'));
    try {
      const store = await openLevelStore(join(folder, 'living'));
      const purse = new Purse();
      const [, wire] = await pausedAt(store, purse);
      // Files as a killed process leaves them: whatever it has handed to the system.
      cpSync(join(folder, 'living'), join(folder, 'killed'), { recursive: true });
      const killed = await openLevelStore(join(folder, 'killed'));
      const after = await createHostRig({ store: killed });
      await after.host.recover();
      const more = { cover: 1_000n, voucher: purse.more(1_000n - COVER) };
      const second = resume(after, resumeOf(1, wire.deliveries, more));
      await second.until();
      expect(second.receipt).toMatchObject({ finish: 'done', outputUnits: 100 });
      await after.flushed();
      await killed.close();
      const again = await openLevelStore(join(folder, 'killed'));
      expect(await remaining(again)).toBe(0);
      await again.close();
      wire.end.cancel();
      await settle();
      await store.close();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('CALL-68: an answer that is another one now ends the call at its checkpoint', async () => {
    for (const change of [
      { answerer: wordAnswerer(60, { word: (at) => (at === 20 ? 'other ' : `word${at} `) }) },
      { answerer: wordAnswerer(30) },
      { answerer: wordAnswerer(60, { parts: PARTS }) },
    ]) {
      const store = createMemoryStore();
      const purse = new Purse();
      const [, wire] = await pausedAt(store, purse);
      const after = await createHostRig({ store: await snapshot(store), ...change });
      await after.host.recover();
      const more = { cover: 1_000n, voucher: purse.more(1_000n - COVER) };
      const second = resume(after, resumeOf(1, wire.deliveries, more));
      await second.until();
      expect(second.deliveries).toHaveLength(0);
      expect(second.receipt).toMatchObject({ finish: 'failed', outputUnits: 40, amount: COVER });
      expect(await after.charged()).toBe(COVER);
    }
  });

  it('CALL-67 PAY-18: without its caller, or on a channel that closes, it ends; what came after the checkpoint does not count', async () => {
    const store = createMemoryStore();
    const purse = new Purse();
    let go = (): void => {};
    const rest = new Promise<void>((resolve) => {
      go = resolve;
    });
    const answerer = wordAnswerer(60, { before: (word) => (word === 30 ? rest : undefined) });
    const rig = await createHostRig({ store, answerer });
    const wire = rig.stream();
    wire.send(CALL_FRAME.opening, openingOf({ id: 1, cover: COVER }, purse));
    await wire.until(() => wire.deliveries.length === 30 && wire.checkpoints.length === 1);
    const [disk, twin] = [await snapshot(store), await snapshot(store)];
    go();
    const after = await createHostRig({ store: disk, host: { resumeGraceMs: 0 } });
    await after.host.recover();
    await settle();
    expect([after.host.running, await after.charged()]).toEqual([0, LEAST + 20n * WORD]);
    const ahead = resume(after, resumeOf(1, wire.deliveries.slice(0, 30)));
    await ahead.until();
    expect(ahead.failure).toMatchObject({ code: 'call-conflict', facts: { deliveries: 20 } });
    const told = resume(after, resumeOf(1, wire.deliveries.slice(0, 20)));
    await told.until();
    expect(told.receipt).toMatchObject({ finish: 'failed', outputUnits: 20, deliveries: 20 });

    // What was delivered is owed on a channel that has begun to close meanwhile, too.
    const closing = await createHostRig({ store: twin, host: { resumeGraceMs: 0 } });
    closing.channels.change(openChannel().id, { state: 'closing' });
    await closing.host.recover();
    await settle();
    expect([closing.host.running, await closing.charged()]).toEqual([0, LEAST + 20n * WORD]);
    wire.end.cancel();
  });

  it('CALL-67 CALL-68: one that is stopped before it has a place again ends at its checkpoint', async () => {
    const store = createMemoryStore();
    const limits = { questionBytes: 4_096, outputUnits: 100, deadlineMs: 60_000, concurrency: 2 };
    const purse = new Purse();
    const rig = await createHostRig({ store, card: { limits } });
    const wires = [1, 2].map((id) => {
      const wire = rig.stream();
      wire.send(CALL_FRAME.opening, openingOf({ id, cover: COVER }, purse));
      return wire;
    });
    for (const wire of wires) await wire.until(() => wire.stages.includes('paused'));
    const after = await createHostRig({
      store: await snapshot(store),
      card: { limits: { ...limits, concurrency: 1 } },
      answerer: wordAnswerer(60, { before: () => new Promise(() => {}) }),
    });
    await after.host.recover();
    const [first, second] = [1, 2].map((id) => resume(after, resumeOf(id, wires[id - 1]?.deliveries ?? [])));
    await settle();
    second?.send(CALL_FRAME.stop);
    await second?.until();
    expect(second?.receipt).toMatchObject({ finish: 'cancelled', amount: COVER });
    first?.send(CALL_FRAME.stop);
    await first?.until();
    expect(first?.receipt).toMatchObject({ finish: 'cancelled', amount: COVER });
    expect(await after.charged()).toBe(2n * COVER);
    for (const wire of wires) wire.cancel();
  });

  it('CALL-67: a call without a checkpoint is unknown after the restart, and costs nothing', async () => {
    const store = createMemoryStore();
    const rig = await createHostRig({
      store,
      answerer: wordAnswerer(60, { before: (word) => (word < 10 ? undefined : new Promise(() => {})) }),
    });
    const wire = rig.stream();
    wire.send(CALL_FRAME.opening, openingOf({ id: 1, cover: COVER }, new Purse()));
    await wire.until(() => wire.deliveries.length === 10);
    const after = await createHostRig({ store: await snapshot(store) });
    await after.host.recover();
    const second = resume(after, resumeOf(1, wire.deliveries));
    await second.until();
    expect([second.failure?.code, await after.charged()]).toEqual(['call-unknown', 0n]);
    wire.end.cancel();
  });

  it('CALL-57 CALL-69 PAY-17: killed at any write, it charges a call once, at least what its caller holds a checkpoint of', async () => {
    for (let batch = 1; batch <= 14; batch++) {
      const store = failingAt(batch);
      const purse = new Purse();
      const rig = await createHostRig({ store, host: { resumeGraceMs: 0 } });
      const wire = rig.stream();
      wire.send(CALL_FRAME.opening, openingOf({ id: 1, cover: COVER }, purse));
      await wire.until(() => wire.stages.includes('paused'));
      if (!wire.over) wire.send(CALL_FRAME.voucher, topUpOf(1_000n, purse.more(1_000n - COVER)));
      await Promise.race([wire.until(), settle(200)]);
      // The first host lives on; what it says from here on was never said.
      const [told, toldBytes] = [
        wire.receipt?.amount ?? wire.checkpoints.at(-1)?.amount ?? 0n,
        wire.receiptBytes,
      ];
      const disk = await snapshot(store.disk);
      const after = await createHostRig({ store: disk, host: { resumeGraceMs: 0 } });
      await after.host.recover();
      await settle();
      const charged = await after.charged();
      expect(after.host.running).toBe(0);
      expect(charged, `batch ${batch}`).toBeGreaterThanOrEqual(told);
      expect(charged).toBeLessThanOrEqual(LEAST + 100n * WORD);
      const again = resume(after, resumeOf(1, []));
      await again.until();
      if (charged > 0n && again.receipt !== undefined) expect(again.receipt.amount).toBe(charged);
      if (charged === 0n) expect(again.failure?.code).toBe('call-unknown');
      if (toldBytes !== undefined && again.receiptBytes !== undefined) {
        expect(again.receiptBytes).toBe(toldBytes);
      }
      await after.flushed();
      const third = await createHostRig({ store: disk, host: { resumeGraceMs: 0 } });
      await third.host.recover();
      await settle();
      expect(await third.charged()).toBe(charged);
      wire.end.cancel();
    }
  });
});

describe('the store of running calls', () => {
  it('CALL-57: keeps what a call has delivered by its checkpoints, and forgets it with its end', async () => {
    const store = createMemoryStore();
    const [rig, wire] = await pausedAt(store, new Purse());
    const again = await openRunningCalls({ store: prefixed(await snapshot(store), utf8('r')) });
    const [kept] = (await again.left()) as readonly [KeptCall];
    expect(kept.frames.slice(0, kept.at.deliveries)).toEqual(wire.deliveries);
    expect([kept.at.cover, kept.at.deliveries, again.has(callIdOf(1)), again.isLeft(callIdOf(1))]).toEqual([
      COVER,
      40,
      true,
      true,
    ]);
    again.reopen(kept).forget();
    await again.flushed();
    expect([again.has(callIdOf(1)), (await again.left()).length]).toEqual([false, 0]);
    wire.send(CALL_FRAME.stop);
    await wire.until();
    await rig.flushed();
    expect(await remaining(store)).toBe(0);
  });

  it('beyond its limits a call is served all the same, and not kept', async () => {
    for (const running of [{ callsMax: 0 }, { bytesMax: 100 }]) {
      const store = createMemoryStore();
      const [rig, wire] = await pausedAt(store, new Purse(), { running });
      expect(wire.checkpoints).toHaveLength(2);
      expect(await remaining(store)).toBe(0);
      wire.send(CALL_FRAME.stop);
      await wire.until();
      expect(await rig.charged()).toBe(COVER);
    }
  });
});

/** Entries of calls that are kept. */
async function remaining(store: Store): Promise<number> {
  let count = 0;
  for await (const _entry of prefixed(store, utf8('r')).entries()) count++;
  return count;
}
