import { describe, expect, it } from 'vitest';
import { createGateway } from '../../src/agent/gateway.ts';
import type { CallFrame, CallStream } from '../../src/agent/ports.ts';
import { throughDoor } from '../../src/agent/sealed-door.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { silentLog } from '../../src/base/log.ts';
import { callVia } from '../../src/protocol/sealed-message.ts';
import { createSigner } from '../../src/protocol/suite-native.ts';
import { createToldClock } from '../mesh/support.ts';
import {
  AGENT,
  doorParts,
  gatewayRig,
  PEERS,
  sealedPair,
  sealerOf,
  sealing,
  serveNothing,
} from './sealed-rig.ts';
import { createStreamPair, type Fate } from './stream-pair.ts';

const frame = (kind: number, ...bytes: number[]): CallFrame => ({ kind, body: Uint8Array.from(bytes) });
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function failureOf(work: Promise<unknown>): Promise<SaharaError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof SaharaError) return error;
  throw new TypeError(`no failure: ${String(error)}`);
}

async function all(stream: CallStream): Promise<number[]> {
  const kinds: number[] = [];
  for await (const { kind } of stream.frames()) kinds.push(kind);
  return kinds;
}

/** Takes a call, answers three frames and ends. */
async function answer(host: CallStream): Promise<void> {
  const reader = host.frames()[Symbol.asyncIterator]();
  await reader.next();
  for (let i = 0; i < 3; i++) host.send(frame(2, i));
  host.end();
}

/** How a caller sees three frames whose bodies pass `on`. */
async function seenBy(on: (frame: CallFrame, index: number) => Fate): Promise<SaharaError | number[]> {
  const { caller, host } = await sealedPair({
    tap: (sent, from, index) => (from === 'host' ? on(sent, index) : sent),
  });
  caller.send(frame(1));
  const answered = answer(host).catch(() => {});
  const seen = await all(caller).catch((error: unknown) => error as SaharaError);
  await answered;
  return seen;
}

describe('who carries a sealed call', () => {
  it('CALL-94: cannot change, repeat, exchange or leave out what it carries', async () => {
    expect(await seenBy((sent) => sent)).toEqual([2, 2, 2]);
    let kept: CallFrame | undefined;
    const tricks: Record<string, (sent: CallFrame, index: number) => Fate> = {
      'changes a byte': (sent, index) => {
        if (index !== 1) return sent;
        const body = sent.body.slice();
        body[5] = (body[5] ?? 0) ^ 1;
        return { ...sent, body };
      },
      'changes the kind': (sent, index) => (index === 1 ? { ...sent, kind: 2 } : sent),
      'repeats one': (sent, index) => {
        if (index === 1) kept = sent;
        return index === 2 && kept ? kept : sent;
      },
      'cuts one short': (sent, index) => (index === 1 ? { ...sent, body: sent.body.subarray(16) } : sent),
      'empties one': (sent, index) => (index === 1 ? { ...sent, body: new Uint8Array(0) } : sent),
      'changes the salt': (sent, index) => {
        if (index !== 0) return sent;
        const body = sent.body.slice();
        body[0] = (body[0] ?? 0) ^ 1;
        return { ...sent, body };
      },
    };
    for (const [name, trick] of Object.entries(tricks)) {
      expect(await seenBy(trick), name).toMatchObject({ code: 'seal-invalid' });
    }
  });

  it('CALL-95: cannot end it: an END that is not sealed is a cut', async () => {
    const { caller, host, far } = await sealedPair();
    caller.send(frame(1));
    const reader = host.frames()[Symbol.asyncIterator]();
    await reader.next();
    host.send(frame(2, 1));
    far.end();
    const seen: number[] = [];
    const failure = await failureOf(
      (async () => {
        for await (const { kind } of caller.frames()) seen.push(kind);
      })(),
    );
    expect(seen).toEqual([2]);
    expect(failure.code).toBe('peer-gone');
  });

  it('CALL-95: sees no message after the ending: a bare END of the caller is enough then', async () => {
    const sent: string[] = [];
    const { caller, host } = await sealedPair({
      tap(one, from) {
        sent.push(`${from} ${one.kind}`);
        return one;
      },
    });
    const heard: string[] = [];
    const over = Promise.withResolvers<void>();
    host.consume({
      frame(kind) {
        heard.push(`frame ${kind}`);
        host.send(frame(2, 1));
        host.send(frame(4, 1));
        host.end();
      },
      end() {
        heard.push('end');
        over.resolve();
      },
      fail({ code }) {
        heard.push(code);
        over.resolve();
      },
    });
    caller.send(frame(1));
    for await (const { kind } of caller.frames()) if (kind === 4) caller.end();
    await over.promise;
    expect(heard).toEqual(['frame 1', 'end']);
    expect(sent).toEqual(['caller 13', 'host 13', 'host 13', 'host 13']);
  });

  it('CALL-95: cannot refuse it: what it says itself is a cut, without the clock of a host', async () => {
    for (const said of [new SaharaError('price-above-max'), new SaharaError('overloaded')]) {
      const { caller, far } = await sealedPair();
      caller.send(frame(1));
      far.fail(said);
      const failure = await failureOf(all(caller));
      expect(failure).toMatchObject({ code: 'peer-gone', facts: { said: said.code } });
      expect(failure.facts).not.toHaveProperty('peerTimeMs');
    }
    const { caller, host, far } = await sealedPair();
    caller.send(frame(1));
    far.fail(new SaharaError('overloaded'));
    expect((await failureOf(caller.writable())).code).toBe('peer-gone');
    expect(() => caller.send(frame(10))).toThrow('peer-gone');
    void host;
  });

  it('CALL-94: cannot seal to an agent that is not served here, nor say what is no opening', async () => {
    const stranger = createSigner(new Uint8Array(32).fill(77)).publicKey;
    const bodies = [
      (await sealing.sealer.to(stranger)).write({ type: 'frame', ...frame(1) }),
      (await sealerOf('other-0000000000000000').to(AGENT)).write({ type: 'end' }),
      new Uint8Array(40),
    ];
    const codes: string[] = [];
    for (const body of bodies) {
      const { caller: near, host: far } = createStreamPair();
      const told = failureOf(all(throughDoor(await doorParts(), far)));
      near.send({ kind: 13, body });
      const failure = await failureOf(all(near));
      expect((await told).code).toBe(failure.code);
      codes.push(failure.code);
    }
    expect(codes).toEqual(['seal-invalid', 'seal-invalid', 'malformed']);
  });

  it('tells the host nothing when the host itself left first', async () => {
    const { caller: near, host: far } = createStreamPair();
    const host = throughDoor(await doorParts(), far);
    const heard: string[] = [];
    host.consume({
      frame: () => heard.push('frame'),
      end: () => heard.push('end'),
      fail: () => heard.push('fail'),
    });
    host.fail(new SaharaError('overloaded'));
    near.end();
    expect((await failureOf(all(near))).code).toBe('overloaded');
    await turn();
    expect(heard).toEqual([]);
  });
});

describe('a gateway', () => {
  it('CALL-100: opens the way first and then passes on what it gets, byte for byte', async () => {
    const carried: { readonly from: string; readonly frame: CallFrame }[] = [];
    const held = Promise.withResolvers<CallStream>();
    const rig = await gatewayRig({
      serve: held.resolve,
      pair: {
        tap(sent, from) {
          carried.push({ from: `far ${from}`, frame: sent });
          return sent;
        },
      },
      seenNear: (sent, from) => carried.push({ from: `near ${from}`, frame: sent }),
    });
    const caller = await rig.transport.openCall(PEERS.host, { agent: AGENT });
    expect(carried.map(({ from, frame: { kind } }) => `${from} ${kind}`)).toEqual([
      'near caller 14',
      'near host 14',
    ]);
    caller.send(frame(1, 1, 2, 3));
    const host = await held.promise;
    await answer(host);
    expect(await all(caller)).toEqual([2, 2, 2]);
    const of = (from: string): string[] =>
      carried
        .filter((one) => one.from === from && one.frame.kind === 13)
        .map(({ frame: { body } }) => Buffer.from(body).toString('hex'));
    expect(of('far caller')).toEqual(of('near caller'));
    expect(of('near host')).toEqual(of('far host'));
    expect(of('near host')).toHaveLength(4);
  });

  it('CALL-105 CALL-106: is who the host sees, and who a resumption has to name', async () => {
    const held = Promise.withResolvers<CallStream>();
    const rig = await gatewayRig({ serve: held.resolve });
    const caller = await rig.transport.openCall(PEERS.host, { agent: AGENT });
    expect(caller.seenAs).toBe(PEERS.gateway);
    expect((await held.promise).peerId).toBe(PEERS.gateway);
  });

  it('CALL-100: refuses before anything of the call was sent', async () => {
    const kinds: number[] = [];
    const rig = await gatewayRig({
      serve: serveNothing,
      unreachable: () => true,
      seenNear: ({ kind }) => kinds.push(kind),
    });
    const failure = await failureOf(rig.transport.openCall(PEERS.host, { agent: AGENT }));
    expect(failure.code).toBe('peer-unreachable');
    expect(kinds).toEqual([14]);
    expect(rig.gateway.running).toBe(0);
  });

  it('CALL-105: is left for the next one when it refuses, and is not needed to reach itself', async () => {
    let down = true;
    const rig = await gatewayRig({
      serve: serveNothing,
      unreachable: () => {
        const was = down;
        down = false;
        return was;
      },
      gateways: [PEERS.gateway, 'peer-other-gateway'],
    });
    const caller = await rig.transport.openCall(PEERS.host, { agent: AGENT });
    expect(caller.seenAs).toBe('peer-other-gateway');
    const direct = await rig.transport.openCall(PEERS.gateway, { agent: AGENT });
    expect(direct.seenAs).toBeUndefined();
  });

  it('CALL-101: carries sealed frames only, and is not asked to ask another one', async () => {
    const heard: string[] = [];
    for (const smuggled of [
      frame(1, 1),
      { kind: 14, body: callVia.encode({ peerId: 'peer-x' }) },
      frame(5),
    ]) {
      const rig = await gatewayRig({
        serve: (host) =>
          host.consume({
            frame: (kind) => heard.push(`frame ${kind}`),
            end: () => heard.push('end'),
            fail: ({ code }) => heard.push(code),
          }),
      });
      const stream = await rig.direct.openCall(PEERS.gateway);
      stream.send({ kind: 14, body: callVia.encode({ peerId: PEERS.host }) });
      const reader = stream.frames()[Symbol.asyncIterator]();
      expect((await reader.next()).value).toMatchObject({ kind: 14 });
      stream.send(smuggled);
      expect((await failureOf(reader.next())).code).toBe('caller-refused');
      await turn();
    }
    expect(heard).toEqual(['caller-refused', 'caller-refused', 'caller-refused']);
  });

  it('CALL-101: passes nothing in the open from the host either', async () => {
    const rig = await gatewayRig({ serve: serveNothing });
    const caller = await rig.transport.openCall(PEERS.host, { agent: AGENT });
    caller.send(frame(1));
    // By the host's end of the stream, before its door.
    rig.hosts[0]?.send(frame(2, 1));
    expect(await failureOf(all(caller))).toMatchObject({
      code: 'peer-gone',
      facts: { said: 'caller-refused' },
    });
  });

  it('says what cannot be read', async () => {
    const rig = await gatewayRig({ serve: serveNothing });
    const stream = await rig.direct.openCall(PEERS.gateway);
    stream.send({ kind: 14, body: new Uint8Array(3) });
    expect((await failureOf(all(stream))).code).toBe('malformed');
    expect(rig.gateway.running).toBe(0);
  });

  it('CALL-103: passes on that one side has left', async () => {
    const told = Promise.withResolvers<SaharaError>();
    const rig = await gatewayRig({
      serve: (host) => host.consume({ frame: () => {}, end: () => {}, fail: told.resolve }),
    });
    const caller = await rig.transport.openCall(PEERS.host, { agent: AGENT });
    caller.send(frame(1));
    rig.near[0]?.cut();
    expect((await told.promise).code).toBe('peer-gone');
    while (rig.gateway.running > 0) await turn();
  });

  it('CALL-104: bounds the calls that it carries, for one peer and in all', async () => {
    const limits = { serve: serveNothing, gateway: { callsMax: 3, callsPerPeerMax: 2 } };
    const rig = await gatewayRig(limits);
    const open = (from: string): Promise<CallStream> => rig.from(from).openCall(PEERS.host, { agent: AGENT });
    const first = await open('peer-a');
    await open('peer-a');
    expect(await failureOf(open('peer-a'))).toMatchObject({ code: 'overloaded', facts: { of: 'peer' } });
    await open('peer-b');
    expect((await failureOf(open('peer-c'))).code).toBe('overloaded');
    expect(rig.gateway.running).toBe(3);
    first.send(frame(1));
    first.cancel();
    while (rig.gateway.running > 2) await turn();
    await open('peer-a');
  });

  /** A gateway between two raw streams, by a clock that is told. */
  async function told(
    limits: Parameters<typeof createGateway>[1] = {},
  ): Promise<{ clock: ReturnType<typeof createToldClock>; caller: CallStream; host: CallStream }> {
    const clock = createToldClock();
    const near = createStreamPair();
    const far = createStreamPair();
    const transport = { openCall: async (): Promise<CallStream> => far.caller };
    const gateway = createGateway({ clock, log: silentLog, transport }, limits);
    const source = near.host.frames()[Symbol.asyncIterator]();
    void gateway.carry({ stream: near.host, source, request: callVia.encode({ peerId: PEERS.host }) });
    return { clock, caller: near.caller, host: far.host };
  }

  it('CALL-104: slows down who has more carried than it allows', async () => {
    const { clock, caller, host } = await told({ bytesPerSecond: 1_000, bytesAtOnce: 1_000 });
    const reader = host.frames()[Symbol.asyncIterator]();
    caller.send({ kind: 13, body: new Uint8Array(1_000) });
    caller.send({ kind: 13, body: new Uint8Array(500) });
    await reader.next();
    let came = false;
    const second = reader.next().then(() => {
      came = true;
    });
    for (let i = 0; i < 5; i++) await turn();
    clock.advance(499);
    for (let i = 0; i < 5; i++) await turn();
    expect(came).toBe(false);
    clock.advance(1);
    await second;
  });

  it('CALL-104: waits neither for an opening nor for an end for ever', async () => {
    const silent = await told();
    await turn();
    silent.clock.advance(10_000);
    expect((await failureOf(all(silent.caller))).code).toBe('deadline-exceeded');
    expect((await failureOf(all(silent.host))).code).toBe('deadline-exceeded');
    const endless = await told();
    endless.caller.send(frame(13, 1));
    await turn();
    endless.clock.advance(3_719_999);
    endless.caller.send(frame(13, 2));
    const reader = endless.host.frames()[Symbol.asyncIterator]();
    expect((await reader.next()).done).toBe(false);
    expect((await reader.next()).done).toBe(false);
    endless.clock.advance(1);
    expect((await failureOf(reader.next())).code).toBe('deadline-exceeded');
  });
});
