import { describe, expect, it } from 'vitest';
import { CALLS_PER_TURN_MAX } from '../../src/agent/call-limits.ts';
import { CALL_FRAME } from '../../src/protocol/call.ts';
import { createRig, QUESTION } from './rig.ts';
import { createStreamPair } from './stream-pair.ts';

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('many calls at once at a host', () => {
  it('begin in several turns, and all of them begin', async () => {
    const rig = await createRig();
    const more = 5;
    for (let i = 0; i < 2 * CALLS_PER_TURN_MAX + more; i++) {
      const { caller, host } = createStreamPair();
      // No opening, so a stream that is begun with is refused at once.
      caller.send({ kind: CALL_FRAME.delta, body: new Uint8Array(1) });
      rig.host.serve(host);
    }
    // What is waiting on a stream is told in microtasks.
    for (let i = 0; i < 20; i++) await Promise.resolve();
    expect(rig.host.running).toBe(CALLS_PER_TURN_MAX + more);
    for (let turn = 0; turn < 4; turn++) await nextTurn();
    expect(rig.host.running).toBe(0);
  });

  it('are all answered', async () => {
    const rig = await createRig();
    const calls = Array.from({ length: 2 * CALLS_PER_TURN_MAX + 5 }, () =>
      rig.caller.ask({ target: rig.target, question: QUESTION, priceMax: 1_000n }),
    );
    const results = await Promise.all(calls.map(({ result }) => result));
    expect(new Set(results.map(({ text }) => text)).size).toBe(1);
    expect(new Set(results.map(({ receipt }) => receipt.sequence)).size).toBe(calls.length);
  });

  it('are turned away when the host stops before it has begun with them', async () => {
    const rig = await createRig();
    const failures: string[] = [];
    for (let i = 0; i < CALLS_PER_TURN_MAX + 3; i++) {
      const { caller, host } = createStreamPair();
      caller.consume({ frame: () => {}, end: () => {}, fail: ({ code }) => failures.push(code) });
      rig.host.serve(host);
    }
    await rig.host.drain(3_600_000);
    for (let turn = 0; turn < 3; turn++) await nextTurn();
    expect(rig.host.running).toBe(0);
    expect(failures).toEqual(Array.from({ length: CALLS_PER_TURN_MAX + 3 }, () => 'overloaded'));
  });
});
