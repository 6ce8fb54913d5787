/** Whole calls by way of gateways, with the real caller, host and books. */
import { describe, expect, it } from 'vitest';
import { type Caller, type CallResult, createCaller } from '../../src/agent/caller.ts';
import { createGatewayTransport } from '../../src/agent/gateway-transport.ts';
import type { CallFrame, CallStream, CallTransport } from '../../src/agent/ports.ts';
import { throughDoor } from '../../src/agent/sealed-door.ts';
import { askSealed } from '../../src/agent/sealed-question.ts';
import { concat, utf8 } from '../../src/base/bytes.ts';
import { systemClock } from '../../src/base/clock.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { systemDice } from '../../src/base/random.ts';
import { callEnding, callOpening } from '../../src/protocol/call.ts';
import { callVia } from '../../src/protocol/sealed-message.ts';
import { createVerifier } from '../../src/protocol/signing.ts';
import { nativeSuite as suite } from '../../src/protocol/suite-native.ts';
import {
  createRig,
  keys,
  NETWORK,
  PASSAGE,
  QUESTION,
  quotingAnswerer,
  type Rig,
  source,
  tick,
} from './rig.ts';
import {
  AGENT,
  doorParts,
  eachOf,
  type GatewayRig,
  type GatewayRigOptions,
  gatewayRig,
  PEERS,
  sealing,
  serveNothing,
} from './sealed-rig.ts';
import { createStreamPair } from './stream-pair.ts';

function callerOver(rig: Rig, transport: CallTransport): Caller {
  return createCaller({
    suite,
    verifier: createVerifier(suite),
    clock: systemClock,
    dice: systemDice,
    network: NETWORK,
    operator: tick(keys.payer),
    transport,
    payer: rig.payer,
    records: rig.records.caller,
  });
}

/** Everything that passes a gateway, from either side of it. */
function recorder(): { readonly frames: CallFrame[]; readonly options: Partial<GatewayRigOptions> } {
  const frames: CallFrame[] = [];
  return {
    frames,
    options: {
      seenNear: (frame) => frames.push(frame),
      pair: {
        tap(frame) {
          frames.push(frame);
          return frame;
        },
      },
    },
  };
}

/** What a gateway must not learn of a call: texts, names, ids and signatures, and everything that was signed. */
function secretsOf({ evidence, receipt, callId }: CallResult): ReadonlyMap<string, Uint8Array> {
  const { opening, ending, deliveries } = evidence;
  const given: [string, Uint8Array | undefined][] = [
    ['question', utf8(QUESTION)],
    ['answer', utf8(PASSAGE)],
    ['document', utf8(source.document)],
    ['title', utf8(source.title)],
    ['licence', utf8(source.licence)],
    ['source', source.chunk],
    ['call id', callId],
    ['caller', keys.payer.publicKey],
    ['operator', keys.operator.publicKey],
    ['request', opening.request],
    ['envelope', opening.envelope.payload],
    ['envelope’s signature', opening.envelope.signature],
    ['voucher', opening.voucher?.payload],
    ['voucher’s signature', opening.voucher?.signature],
    ['receipt', ending.receipt.payload],
    ['receipt’s signature', ending.receipt.signature],
    ['charge', ending.charge?.payload],
    ['charge’s signature', ending.charge?.signature],
    ['channel', receipt.channel],
    ['opening', callOpening.encode(opening)],
    ['ending', callEnding.encode(ending)],
    ...deliveries.map(({ body }, i): [string, Uint8Array] => [`delivery ${i}`, body]),
  ];
  return new Map(given.map(([name, bytes = new Uint8Array(0)]) => [name, bytes]));
}

const WINDOW_BYTES = 8;

/** Names of the secrets of which any eight bytes in a row stand in what was seen. */
function found(secrets: ReadonlyMap<string, Uint8Array>, seen: readonly CallFrame[]): string[] {
  const haystack = Buffer.concat(seen.map(({ body }) => body));
  return [...secrets]
    .filter(([name, secret]) => {
      expect(secret.length, name).toBeGreaterThanOrEqual(WINDOW_BYTES);
      for (let at = 0; at + WINDOW_BYTES <= secret.length; at++) {
        const part = Buffer.from(secret.subarray(at, at + WINDOW_BYTES));
        // Fields that are all zeros look like nothing in particular.
        if (part.some((byte) => byte !== 0) && haystack.includes(part)) return true;
      }
      return false;
    })
    .map(([name]) => name);
}

/** The frames without the agent's key, which stands openly in the first frame of a sealed call. */
function withoutAgent(seen: readonly CallFrame[]): CallFrame[] {
  return seen.map(({ kind, body }) => {
    const at = Buffer.from(body).indexOf(AGENT);
    // The two bytes before it are its head.
    return at < 0 ? { kind, body } : { kind, body: concat(body.subarray(0, at - 2), body.subarray(at + 32)) };
  });
}

async function failureOf(work: Promise<unknown>): Promise<SaharaError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof SaharaError) return error;
  throw new TypeError(`no failure: ${String(error)}`);
}

describe('a call by way of a gateway', () => {
  it('CALL-96 CALL-97: is paid and settled, and nothing of it can be read on the way', async () => {
    const rig = await createRig();
    const { frames, options } = recorder();
    const { transport } = await gatewayRig({ serve: (stream) => rig.host.serve(stream), ...options });
    const asked = { target: rig.target, question: QUESTION, priceMax: 1_000n };
    const result = await callerOver(rig, transport).ask(asked).result;
    expect(result.text).toBe(PASSAGE);
    expect(rig.payer.balances()[0]).toMatchObject({ charged: result.amount, reserved: 0n, receipts: 1 });

    const secrets = secretsOf(result);
    expect(frames.length).toBeGreaterThan(12);
    expect(found(secrets, withoutAgent(frames))).toEqual([]);
    expect(new Set(frames.map(({ kind }) => kind))).toEqual(new Set([13, 14]));
    const sizes = frames.filter(({ kind }) => kind === 13).map(({ body }) => body.length);
    // The head of the first frame, and the agent's salt, are the only odd lengths.
    expect(
      new Set(sizes.map((size) => [16, 48, 122].find((more) => Number.isInteger(Math.log2(size - more))))),
    ).toEqual(new Set([16, 48, 122]));

    // The same search finds everything in a call that is not sealed.
    const plain: CallFrame[] = [];
    const open = await createRig({
      pair: {
        tap(frame) {
          plain.push(frame);
          return frame;
        },
      },
    });
    const openly = await open.caller.ask(asked).result;
    const known = secretsOf(openly);
    expect(found(known, plain).sort()).toEqual([...known.keys()].sort());
  });

  it('CALL-96: a refusal comes out of the seal as the host said it, and frees the money', async () => {
    const rig = await createRig();
    const { transport } = await gatewayRig({ serve: (stream) => rig.host.serve(stream) });
    const asked = { target: rig.target, question: QUESTION, priceMax: 1_000n, payment: 'free' as const };
    const failure = await failureOf(callerOver(rig, transport).ask(asked).result);
    expect(failure.code).toBe('payment-required');
    expect(failure.facts.peerTimeMs).toBeTypeOf('number');
    expect(failure.facts).not.toHaveProperty('outcome');
  });

  it('CALL-96: an opening that is sent again is refused by what is inside', async () => {
    const rig = await createRig();
    const { frames, options } = recorder();
    const { transport } = await gatewayRig({ serve: (stream) => rig.host.serve(stream), ...options });
    const asked = { target: rig.target, question: QUESTION, priceMax: 1_000n };
    const { amount } = await callerOver(rig, transport).ask(asked).result;
    const [opening] = frames.filter(({ kind }) => kind === 13);

    const told: string[] = [];
    const again = async (from: string): Promise<number> => {
      const { caller, host } = createStreamPair({ peerIds: { caller: from, host: PEERS.host } });
      const inside = throughDoor(await doorParts(), host);
      rig.host.serve(telling(inside, told));
      caller.send(opening as CallFrame);
      let answered = 0;
      await (async () => {
        for await (const frame of caller.frames()) {
          expect(frames.some(({ body }) => Buffer.from(body).equals(frame.body))).toBe(false);
          answered++;
        }
      })().catch(() => {});
      return answered;
    };
    await again('peer-thief');
    expect(told).toEqual(['replayed']);
    // The gateway that carried it gets the same answer once more, under other keys, and nothing is charged.
    expect(await again(PEERS.gateway)).toBeGreaterThan(4);
    expect(told).toEqual(['replayed']);
    expect(rig.payer.balances()[0]).toMatchObject({ charged: amount, receipts: 1 });
  });

  it('CALL-105: goes on through another gateway when the first is gone, and is charged once', async () => {
    const held = Promise.withResolvers<void>();
    const rig = await createRig({
      answerer: quotingAnswerer({ before: (part) => (part === 1 ? held.promise : undefined) }),
    });
    const serve = (stream: CallStream): void => rig.host.serve(stream);
    const first = await gatewayRig({ serve, id: 'gateway-1' });
    const second = await gatewayRig({ serve, id: 'gateway-2' });
    const byId: Readonly<Record<string, GatewayRig>> = { 'gateway-1': first, 'gateway-2': second };
    let up = ['gateway-1', 'gateway-2'];
    const transport = createGatewayTransport({
      ...sealing,
      direct: {
        peerId: PEERS.caller,
        openCall: async (peerId) => (byId[peerId] as GatewayRig).direct.openCall(peerId),
      },
      gateways: () => eachOf(up),
    });
    const handle = callerOver(rig, transport).ask({
      target: rig.target,
      question: QUESTION,
      priceMax: 1_000n,
    });
    for await (const event of handle.events()) {
      if (event.type !== 'text' || up.length === 1) continue;
      up = ['gateway-2'];
      first.near[0]?.cut();
      first.far[0]?.cut();
      held.resolve();
    }
    const result = await handle.result;
    expect(result.text).toBe(PASSAGE);
    expect(second.near).toHaveLength(1);
    expect(rig.payer.balances()[0]).toMatchObject({ charged: result.amount, reserved: 0n, receipts: 1 });
  });

  it('CALL-94 CALL-105: goes on after a frame that somebody changed, and is charged once', async () => {
    let changed = 0;
    const rig = await createRig();
    const { transport, near } = await gatewayRig({
      serve: (stream) => rig.host.serve(stream),
      pair: {
        tap(sent, from, index) {
          if (from === 'caller' || index !== 1 || changed++ > 0) return sent;
          const body = sent.body.slice();
          body[9] = (body[9] ?? 0) ^ 4;
          return { ...sent, body };
        },
      },
    });
    const asked = { target: rig.target, question: QUESTION, priceMax: 1_000n };
    const result = await callerOver(rig, transport).ask(asked).result;
    expect(changed).toBeGreaterThan(0);
    expect(result.text).toBe(PASSAGE);
    expect(near).toHaveLength(2);
    expect(rig.payer.balances()[0]).toMatchObject({ charged: result.amount, reserved: 0n, receipts: 1 });
  });
});

describe('a sealed question', () => {
  const question = {
    peerId: PEERS.host,
    agent: AGENT,
    question: { protocol: '/x/1', body: utf8('a secret question') },
  };
  const options = { answerBytesMax: 1_000_000, signal: new AbortController().signal };

  it('CALL-98: is answered in pieces, and hidden from who carries it', async () => {
    const answer = new Uint8Array(200_000).map((_, i) => i % 253);
    const { frames, options: recording } = recorder();
    const hosts: string[] = [];
    const { transport } = await gatewayRig({
      serve: (stream) => stream.consume({ frame: () => hosts.push('frame'), end: () => {}, fail: () => {} }),
      answer: async ({ protocol, body }) => {
        expect(protocol).toBe('/x/1');
        expect(body).toEqual(utf8('a secret question'));
        return answer;
      },
      ...recording,
    });
    expect(Buffer.from(await askSealed(transport, question, options)).equals(answer)).toBe(true);
    expect(hosts).toEqual([]);
    const secrets = new Map([
      ['question', utf8('a secret question')],
      ['answer', answer.subarray(0, 2_000)],
    ]);
    expect(found(secrets, frames)).toEqual([]);
    const small = { ...options, answerBytesMax: 100_000 };
    expect((await failureOf(askSealed(transport, question, small))).code).toBe('too-large');
  });

  it('CALL-98: tells what the other side refuses, and can be given up', async () => {
    const refusing = await gatewayRig({
      serve: serveNothing,
      answer: async () => {
        throw new SaharaError('version-unsupported', { found: '/x/1' });
      },
    });
    const refused = await failureOf(askSealed(refusing.transport, question, options));
    expect(refused).toMatchObject({ code: 'version-unsupported', facts: { found: '/x/1' } });
    const silent = await gatewayRig({ serve: serveNothing, answer: () => new Promise(() => {}) });
    const leaving = new AbortController();
    const asking = failureOf(askSealed(silent.transport, question, { ...options, signal: leaving.signal }));
    while (silent.hosts.length === 0) await new Promise((resolve) => setImmediate(resolve));
    leaving.abort();
    expect((await asking).code).toBe('cancelled');
  });

  it('CALL-98: is not taken in the open', async () => {
    const rig = await createRig();
    const { caller, host } = createStreamPair();
    rig.host.serve(throughDoor(await doorParts(), host));
    caller.send({ kind: 15, body: callVia.encode({ peerId: 'x' }) });
    const reading = (async () => {
      for await (const { kind } of caller.frames()) expect(kind).toBe(-1);
    })();
    expect((await failureOf(reading)).code).toBe('malformed');
  });
});

/** `stream`, which notes what its host refuses. */
function telling(stream: CallStream, told: string[]): CallStream {
  return {
    peerId: stream.peerId,
    signal: stream.signal,
    send: (frame) => stream.send(frame),
    writable: (options) => stream.writable(options),
    frames: () => stream.frames(),
    consume: (sink) => stream.consume(sink),
    end: () => stream.end(),
    cancel: () => stream.cancel(),
    fail(error) {
      told.push(error.code);
      stream.fail(error);
    },
  };
}
