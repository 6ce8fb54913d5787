import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SaharaError } from '../../src/base/errors.ts';
import { FrameDecoder, type FrameSink, FrameWriter } from '../../src/protocol/frames.ts';
import {
  allFrames,
  begin,
  createSessionPair,
  createToldClock,
  echo,
  failureOf,
  frameOf,
  HELLO,
  until,
} from './support.ts';

const turns = async (count = 5): Promise<void> => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
};

describe('call sessions', () => {
  it('MESH-30: both sides know the other by its HELLO before a call begins', async () => {
    const pair = createSessionPair();
    await pair.near.ready;
    const call = begin(pair.near);
    await until(() => pair.calls.length === 1);
    expect(call.peerId).toBe('far');
    expect(pair.calls[0]?.peerCertificate).toEqual(HELLO.certificate);
  });

  it('MESH-31: another network or version ends the stream with that code on both sides', async () => {
    const network = createSessionPair({ far: { network: 'other' } });
    expect(await failureOf(network.near.ready)).toBe('network-mismatch');
    expect(await failureOf(network.far.ready)).toBe('network-mismatch');
    const version = createSessionPair({ near: { version: 2 } });
    expect(await failureOf(version.far.ready)).toBe('version-unsupported');
    await turns();
    expect(version.near.accepting).toBe(false);
  });

  it('MESH-32: frames arrive in order and end only by END', async () => {
    const pair = createSessionPair({ onCall: echo });
    await pair.near.ready;
    const call = pair.near.openCall();
    for (let i = 0; i < 20; i++) call.send(frameOf(i, i));
    call.end();
    const back = await allFrames(call);
    expect(back.map((frame) => [frame.kind, frame.body.length])).toEqual(
      Array.from({ length: 20 }, (_, i) => [i, i]),
    );
    expect(pair.near.activeCalls).toBe(0);
    expect(pair.far.activeCalls).toBe(0);
  });

  it('MESH-33: what all calls queue in one turn leaves in one send', async () => {
    const pair = createSessionPair();
    await pair.near.ready;
    await turns();
    const decoder = new FrameDecoder({ bodyBytesMax: 65_536 });
    let sends = 0;
    const receive = pair.far.receive.bind(pair.far);
    pair.far.receive = (bytes: Uint8Array) => {
      sends++;
      decoder.push(bytes, nothing);
      receive(bytes);
    };
    const calls = Array.from({ length: 8 }, () => pair.near.openCall());
    for (const call of calls) call.send(frameOf(1));
    for (const call of calls) call.end();
    await turns();
    expect(pair.calls).toHaveLength(8);
    expect(sends).toBe(1);
  });

  it('MESH-34: a reader that does not read holds its sender, and only its own', async () => {
    const pair = createSessionPair();
    await pair.near.ready;
    const slow = pair.near.openCall();
    const quick = pair.near.openCall();
    let queued = 0;
    while (slow.send(frameOf(1, 1_000))) queued++;
    await turns();
    expect(queued).toBeLessThan(2 + HELLO.windowBytes / 1_000);
    let writable = false;
    const waiting = slow.writable().then(() => {
      writable = true;
    });
    await turns(20);
    expect(writable).toBe(false);
    quick.send(frameOf(2, 100));
    quick.end();
    await turns();
    const [slowThere, quickThere] = pair.calls;
    if (!slowThere || !quickThere) throw new Error('two calls');
    expect(await allFrames(quickThere)).toHaveLength(1);
    const reader = slowThere.frames()[Symbol.asyncIterator]();
    for (let i = 0; i < queued; i++) await reader.next();
    await waiting;
    expect(pair.sent.near).toBeLessThan(2 * HELLO.windowBytes + 4_000);
  });

  it('MESH-34: any mix of sizes and reading speeds delivers everything in order', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 30_000 }), { maxLength: 30 }),
        fc.array(fc.boolean(), { minLength: 1, maxLength: 30 }),
        async (sizes, pauses) => {
          const pair = createSessionPair();
          await pair.near.ready;
          const call = pair.near.openCall();
          const sending = (async () => {
            for (const [i, size] of sizes.entries()) {
              if (!call.send(frameOf(i, size))) await call.writable();
            }
            call.end();
          })();
          await until(() => pair.calls.length === 1);
          const seen: number[] = [];
          for await (const frame of pair.calls[0]?.frames() ?? []) {
            seen.push(frame.body.length);
            if (pauses[seen.length % pauses.length]) await turns(2);
          }
          await sending;
          expect(seen).toEqual(sizes);
        },
      ),
      { numRuns: 30 },
    );
  });

  it('MESH-35: DATA beyond the credit ends the stream as malformed', async () => {
    const pair = createSessionPair();
    await pair.near.ready;
    begin(pair.near);
    await until(() => pair.calls.length === 1);
    const writer = new FrameWriter();
    for (let i = 0; i < 5; i++) writer.data(1, 1, new Uint8Array(8_000));
    pair.far.receive(writer.take());
    const call = pair.calls[0];
    if (!call) throw new Error('one call');
    expect(call.signal.aborted).toBe(true);
    expect(await failureOf(allFrames(call))).toBe('malformed');
    expect(pair.far.accepting).toBe(false);
  });

  it('MESH-36: a call above the limit is refused alone', async () => {
    const pair = createSessionPair({ far: { callsMax: 2 } });
    await pair.near.ready;
    const first = [begin(pair.near), begin(pair.near)];
    expect(() => pair.near.openCall()).toThrow(/overloaded/);
    await turns();
    first[0]?.cancel();
    await turns();
    expect(begin(pair.near).signal.aborted).toBe(false);
    await turns();
    expect(pair.calls).toHaveLength(3);
    pair.hold(true);
    const writer = new FrameWriter();
    writer.open(7);
    pair.far.receive(writer.take());
    expect(pair.calls).toHaveLength(3);
    expect([pair.far.accepting, pair.far.activeCalls]).toEqual([true, 2]);
  });

  it('MESH-37: a failure ends one call both ways with its code and facts', async () => {
    const pair = createSessionPair({
      onCall: (call) => call.fail(new SaharaError('price-above-max', { price: '7' })),
    });
    await pair.near.ready;
    const call = begin(pair.near);
    const error = await allFrames(call).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(SaharaError);
    expect(error).toMatchObject({ code: 'price-above-max', facts: { price: '7' } });
    expect(call.signal.aborted).toBe(true);
    expect(() => call.send(frameOf(1))).toThrow(/price-above-max/);
    expect(pair.near.accepting).toBe(true);
  });

  it('MESH-38: cancelling reaches the other side and frees the call', async () => {
    const pair = createSessionPair();
    await pair.near.ready;
    const call = begin(pair.near);
    await until(() => pair.calls.length === 1);
    const there = pair.calls[0];
    if (!there) throw new Error('one call');
    const aborted = new Promise((resolve) => there.signal.addEventListener('abort', resolve));
    call.cancel();
    await aborted;
    expect(await failureOf(there.writable())).toBe('cancelled');
    expect(await failureOf(allFrames(call))).toBe('cancelled');
    expect([pair.near.activeCalls, pair.far.activeCalls]).toEqual([0, 0]);
  });

  it('MESH-38: leaving the reading loop cancels', async () => {
    const pair = createSessionPair({
      onCall: (call) => {
        call.send(frameOf(1));
      },
    });
    await pair.near.ready;
    const call = begin(pair.near);
    for await (const frame of call.frames()) {
      expect(frame.kind).toBe(1);
      break;
    }
    await turns();
    expect(pair.calls[0]?.signal.aborted).toBe(true);
  });

  it('MESH-39: frames that cross an ended call are dropped, of a call never begun are malformed', async () => {
    const pair = createSessionPair();
    await pair.near.ready;
    const call = begin(pair.near);
    await until(() => pair.calls.length === 1);
    call.cancel();
    await turns();
    const late = new FrameWriter();
    late.data(1, 1, new Uint8Array(3));
    late.end(1);
    late.credit(1, 10);
    pair.far.receive(late.take());
    expect(pair.far.accepting).toBe(true);
    const never = new FrameWriter();
    never.data(9, 1, new Uint8Array(3));
    pair.far.receive(never.take());
    expect(pair.far.accepting).toBe(false);
  });

  it('MESH-40: a stream that just stops is peer-gone for both directions, never an end', async () => {
    const pair = createSessionPair();
    await pair.near.ready;
    const call = begin(pair.near);
    await until(() => pair.calls.length === 1);
    const there = pair.calls[0];
    if (!there) throw new Error('one call');
    there.send(frameOf(1));
    await turns();
    pair.cut();
    const seen: number[] = [];
    const reading = (async () => {
      for await (const frame of call.frames()) seen.push(frame.kind);
    })();
    expect(await failureOf(reading)).toBe('peer-gone');
    expect(seen).toEqual([1]);
    expect(there.signal.aborted).toBe(true);
  });

  it('MESH-41: after GOAWAY running calls end well and later ones are told to go elsewhere', async () => {
    const pair = createSessionPair();
    await pair.near.ready;
    const running = begin(pair.near);
    await until(() => pair.calls.length === 1);
    pair.hold(true);
    const late = pair.near.openCall();
    pair.far.goAway('stopping');
    await turns();
    pair.hold(false);
    expect(await failureOf(allFrames(late))).toBe('peer-unreachable');
    expect(() => pair.near.openCall()).toThrow(/peer-unreachable/);
    pair.calls[0]?.send(frameOf(4));
    pair.calls[0]?.end();
    running.end();
    expect(await allFrames(running)).toHaveLength(1);
    await turns();
    expect(pair.far.accepting).toBe(false);
  });

  it('MESH-42: a silent peer is pinged, and gone after three intervals', async () => {
    const clock = createToldClock();
    const pair = createSessionPair({ clock });
    await pair.near.ready;
    await turns();
    const call = begin(pair.near);
    await turns();
    for (let i = 0; i < 20; i++) {
      clock.advance(1_000);
      await turns();
    }
    expect(call.signal.aborted).toBe(false);
    pair.hold(true);
    for (let i = 0; i < 5; i++) {
      clock.advance(1_000);
      await turns();
    }
    expect(call.signal.aborted).toBe(true);
    expect(await failureOf(allFrames(call))).toBe('peer-gone');
  });

  it('MESH-43: a stream without calls is closed after its idle time', async () => {
    const clock = createToldClock();
    const pair = createSessionPair({ clock });
    await pair.near.ready;
    const call = begin(pair.near);
    for (let i = 0; i < 15; i++) {
      clock.advance(1_000);
      await turns();
    }
    expect(pair.near.accepting).toBe(true);
    call.cancel();
    for (let i = 0; i < 15; i++) {
      clock.advance(1_000);
      await turns();
    }
    expect(pair.near.accepting).toBe(false);
    expect(pair.far.accepting).toBe(false);
  });

  it('what nobody reads is bounded over all calls, and no longer counts once its call is over', async () => {
    let unread = 0;
    const session = {
      unread: (bytes: number) => {
        unread += bytes;
        return unread <= 30_000;
      },
    };
    const pair = createSessionPair({ session });
    await pair.near.ready;
    const say = (bytes: number) => {
      const call = pair.near.openCall();
      call.send(frameOf(1, bytes));
      return call;
    };
    const calls = [say(12_000), say(12_000), say(12_000)];
    await turns();
    const aborted = calls.map((call) => call.signal.aborted);
    expect(aborted).toEqual([false, false, true]);
    expect(unread).toBe(2 * 12_010);
    calls[0]?.cancel();
    calls[1]?.end();
    pair.calls[1]?.end();
    await turns();
    expect(unread).toBe(0);
    expect(await allFrames(pair.calls[1] ?? expect.fail('a call'))).toHaveLength(1);
    expect(unread).toBe(0);
  });

  it('a defect in one consumer fails its own call only', async () => {
    const pair = createSessionPair({
      onCall: (call) => {
        if (pair.calls.length === 1) call.consume({ frame: () => fail(), end: () => {}, fail: () => {} });
        else echo(call);
      },
    });
    const fail = (): never => {
      throw new Error('defect');
    };
    await pair.near.ready;
    const bad = pair.near.openCall();
    const good = pair.near.openCall();
    bad.send(frameOf(1));
    good.send(frameOf(2));
    good.end();
    expect(await failureOf(allFrames(bad))).toBe('internal');
    expect(await allFrames(good)).toHaveLength(1);
  });
});

const nothing: FrameSink = {
  hello: () => {},
  open: () => {},
  data: () => {},
  end: () => {},
  fail: () => {},
  cancel: () => {},
  credit: () => {},
  goAway: () => {},
  ping: () => {},
  pong: () => {},
};
