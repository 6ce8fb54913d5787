import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHex } from '../../src/base/bytes.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { fromWireFailure, toWireFailure } from '../../src/protocol/failure.ts';
import {
  CONTROL_FRAME_BYTES_MAX,
  DATA_KIND_MAX,
  FRAME_TYPES,
  FrameDecoder,
  type FrameSink,
  FrameWriter,
  type Hello,
} from '../../src/protocol/frames.ts';

const BODY_BYTES_MAX = 65_536;

type Told = readonly [name: string, ...facts: unknown[]];

/** A sink that writes down what it is told, bodies as text. */
function listener(): { readonly told: Told[]; readonly sink: FrameSink } {
  const told: Told[] = [];
  const sink: FrameSink = {
    hello: (hello) => told.push(['hello', { ...hello, certificate: toHex(hello.certificate) }]),
    open: (call) => told.push(['open', call]),
    data: (call, kind, body) => told.push(['data', call, kind, toHex(body)]),
    end: (call) => told.push(['end', call]),
    fail: (call, failure) => told.push(['fail', call, failure]),
    cancel: (call) => told.push(['cancel', call]),
    credit: (call, bytes) => told.push(['credit', call, bytes]),
    goAway: (lastCall, reason) => told.push(['goAway', lastCall, reason]),
    ping: (token) => told.push(['ping', token]),
    pong: (token) => told.push(['pong', token]),
  };
  return { told, sink };
}

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const fact = fc.oneof(
  fc.string({ maxLength: 40 }).filter((text) => text.isWellFormed()),
  fc.integer(),
  fc.boolean(),
  fc.array(fc.constantFrom('a', 'bc', ''), { maxLength: 4 }),
);
const helloArbitrary: fc.Arbitrary<Hello> = fc.record({
  version: fc.integer({ min: 0, max: 0xffff }),
  network: fc.constantFrom('local', 'a', 'x'.repeat(64)),
  bodyBytesMax: fc.integer({ min: 4_096, max: 1_048_576 }),
  windowBytes: fc.integer({ min: 16_384, max: 16_777_216 }),
  callsMax: fc.integer({ min: 1, max: 65_535 }),
  certificate: fc.uint8Array({ maxLength: 200 }),
});

/** One frame: a name for the writer, told to any sink. */
const frameArbitrary: fc.Arbitrary<(sink: FrameSink) => void> = fc.oneof(
  helloArbitrary.map((hello) => (sink: FrameSink) => sink.hello(hello)),
  u32.map((call) => (sink: FrameSink) => sink.open(call)),
  fc.tuple(u32, fc.integer({ min: 0, max: DATA_KIND_MAX }), fc.uint8Array({ maxLength: 300 })).map(
    ([call, kind, body]) =>
      (sink: FrameSink) =>
        sink.data(call, kind, body),
  ),
  u32.map((call) => (sink: FrameSink) => sink.end(call)),
  fc.tuple(u32, fc.dictionary(fc.constantFrom('peer', 'limit', 'why', 'list'), fact), fc.nat()).map(
    ([call, facts, atMs]) =>
      (sink: FrameSink) =>
        sink.fail(call, { code: 'overloaded', facts: { ...facts }, atMs }),
  ),
  u32.map((call) => (sink: FrameSink) => sink.cancel(call)),
  fc.tuple(u32, u32).map(
    ([call, bytes]) =>
      (sink: FrameSink) =>
        sink.credit(call, bytes),
  ),
  u32.map((call) => (sink: FrameSink) => sink.goAway(call, 'overloaded')),
  u32.map((token) => (sink: FrameSink) => sink.ping(token)),
  u32.map((token) => (sink: FrameSink) => sink.pong(token)),
);

function encoded(frames: readonly ((sink: FrameSink) => void)[]): Uint8Array {
  const writer = new FrameWriter();
  for (const frame of frames) frame(writer);
  return writer.take();
}

function decoded(chunks: readonly Uint8Array[], bodyBytesMax = BODY_BYTES_MAX): Told[] {
  const { told, sink } = listener();
  const decoder = new FrameDecoder({ bodyBytesMax });
  for (const chunk of chunks) decoder.push(chunk, sink);
  decoder.finish();
  return told;
}

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof SaharaError) return error.code;
    throw error;
  }
  return 'none';
}

function cut(bytes: Uint8Array, at: readonly number[]): Uint8Array[] {
  const edges = [...new Set([0, ...at.map((point) => point % (bytes.length + 1)), bytes.length])];
  edges.sort((a, b) => a - b);
  return edges.slice(1).map((edge, i) => bytes.slice(edges[i], edge));
}

describe('frames (MESH-20 layout, MESH-21 decoding)', () => {
  it('MESH-21: what is written is read, however the bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.array(frameArbitrary, { maxLength: 12 }),
        fc.array(fc.nat(), { maxLength: 12 }),
        (frames, cuts) => {
          const { told, sink } = listener();
          for (const frame of frames) frame(sink);
          expect(decoded(cut(encoded(frames), cuts))).toEqual(told);
        },
      ),
    );
  });

  it('MESH-21: every split in two of one stream decodes the same', () => {
    const frames = fc.sample(frameArbitrary, { numRuns: 40, seed: 7 });
    const bytes = encoded(frames);
    const whole = decoded([bytes]);
    expect(whole).toHaveLength(40);
    for (let at = 0; at <= bytes.length; at++) {
      expect(decoded([bytes.slice(0, at), bytes.slice(at)])).toEqual(whole);
    }
    expect(decoded(Array.from(bytes, (byte) => Uint8Array.of(byte)))).toEqual(whole);
  });

  it('MESH-22: a stream cut inside a frame is malformed, between frames it is not', () => {
    const bytes = encoded([(sink) => sink.open(1), (sink) => sink.data(1, 3, new Uint8Array(9))]);
    for (let at = 0; at <= bytes.length; at++) {
      const boundary = at === 0 || at === 9 || at === bytes.length;
      expect(codeOf(() => decoded([bytes.slice(0, at)]))).toBe(boundary ? 'none' : 'malformed');
    }
  });

  it('MESH-22: garbage never does anything but decode or fail with a code', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (garbage) => {
        const allowed = ['none', 'malformed', 'too-large', 'unknown-critical'];
        expect(allowed).toContain(codeOf(() => decoded([garbage])));
      }),
    );
    expect(codeOf(() => decoded([new TextEncoder().encode('GET / HTTP/1.1\r\n\r\n')]))).toBe('too-large');
  });

  it('MESH-22: a decoder that failed stays failed', () => {
    const decoder = new FrameDecoder({ bodyBytesMax: BODY_BYTES_MAX });
    const { told, sink } = listener();
    expect(codeOf(() => decoder.push(Uint8Array.of(0, 0, 0, 0), sink))).toBe('malformed');
    expect(codeOf(() => decoder.push(encoded([(to) => to.open(1)]), sink))).toBe('malformed');
    expect(told).toEqual([]);
  });

  it('MESH-23: sizes are checked before the body is awaited', () => {
    const announce = (length: number, type: number): Uint8Array => {
      const bytes = new Uint8Array(5);
      new DataView(bytes.buffer).setUint32(0, length);
      bytes[4] = type;
      return bytes;
    };
    expect(codeOf(() => decoded([announce(BODY_BYTES_MAX + 7, FRAME_TYPES.data)]))).toBe('too-large');
    const body = new Uint8Array(BODY_BYTES_MAX);
    expect(decoded([encoded([(sink) => sink.data(1, 0, body)])])).toHaveLength(1);
    const control = new Uint8Array(4 + CONTROL_FRAME_BYTES_MAX + 1);
    control.set(announce(CONTROL_FRAME_BYTES_MAX + 1, FRAME_TYPES.fail));
    expect(codeOf(() => decoded([control]))).toBe('too-large');
  });

  it('MESH-24: unknown types from 0x80 up are skipped, below they are refused', () => {
    const unknown = (type: number): Uint8Array => Uint8Array.of(0, 0, 0, 3, type, 9, 9);
    const after = encoded([(sink) => sink.ping(5)]);
    expect(decoded([unknown(0x80), unknown(0xff), after])).toEqual([['ping', 5]]);
    expect(codeOf(() => decoded([unknown(0x7f)]))).toBe('unknown-critical');
  });

  it('MESH-25: limits of a HELLO outside their bounds are refused', () => {
    const hello: Hello = {
      version: 1,
      network: 'local',
      bodyBytesMax: 4_096,
      windowBytes: 16_384,
      callsMax: 1,
      certificate: new Uint8Array(0),
    };
    const read = (changed: Partial<Hello>): string =>
      codeOf(() => decoded([encoded([(sink) => sink.hello({ ...hello, ...changed })])]));
    expect(read({})).toBe('none');
    expect(read({ bodyBytesMax: 4_095 })).toBe('malformed');
    expect(read({ windowBytes: 16_383 })).toBe('malformed');
    expect(read({ callsMax: 0 })).toBe('malformed');
    expect(read({ bodyBytesMax: 1_048_577 })).toBe('malformed');
  });

  it('MESH-20: the published bytes of each frame', () => {
    const bytes = (frame: (sink: FrameSink) => void): string => toHex(encoded([frame]));
    expect(bytes((sink) => sink.open(1))).toBe('000000050200000001');
    expect(bytes((sink) => sink.data(1, 7, Uint8Array.of(0xaa)))).toBe('00000007030000000107aa');
    expect(bytes((sink) => sink.end(1))).toBe('000000050400000001');
    expect(bytes((sink) => sink.cancel(2))).toBe('000000050600000002');
    expect(bytes((sink) => sink.credit(3, 256))).toBe('00000009070000000300000100');
    expect(bytes((sink) => sink.goAway(5, 'a'))).toBe('00000006080000000561');
    expect(bytes((sink) => sink.ping(9))).toBe('000000050900000009');
    expect(bytes((sink) => sink.pong(9))).toBe('000000050a00000009');
    expect(bytes((sink) => sink.fail(1, { code: 'a', facts: {}, atMs: 2 }))).toBe(
      '0000000a0500000001836161a002',
    );
  });

  it('gives out bytes that later frames do not change', () => {
    const writer = new FrameWriter();
    writer.open(1);
    const first = writer.take();
    const before = toHex(first);
    for (let i = 0; i < 100; i++) writer.data(i, 1, new Uint8Array(5_000).fill(255));
    expect(toHex(first)).toBe(before);
    expect(decoded([first, writer.take()], 65_536)).toHaveLength(101);
  });
});

describe('failures on the wire (MESH-26)', () => {
  it('carry code, facts and the clock of who refused', () => {
    const error = new SaharaError('price-above-max', { max: '5', names: ['a', 'b'], paid: false, queue: 3 });
    const back = fromWireFailure(toWireFailure(error, 1_234));
    expect(back.code).toBe('price-above-max');
    expect(back.facts).toEqual({ ...error.facts, peerTimeMs: 1_234 });
  });

  it('MESH-26: an unknown code is kept as a fact', () => {
    const back = fromWireFailure({ code: 'from-the-future', facts: {}, atMs: 1 });
    expect([back.code, back.facts.peerCode]).toEqual(['internal', 'from-the-future']);
  });
});
