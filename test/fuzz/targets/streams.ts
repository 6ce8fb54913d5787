/** What comes over streams, cut anywhere: frames of calls, whole sessions, messages of exchanges. */
import { concat, equalBytes, u32be } from '../../../src/base/bytes.ts';
import { SaharaError } from '../../../src/base/errors.ts';
import { silentLog } from '../../../src/base/log.ts';
import { Session } from '../../../src/mesh/session.ts';
import { EXCHANGE_TYPES, ExchangeReader, exchangeHead } from '../../../src/protocol/exchange.ts';
import { failureSchema } from '../../../src/protocol/failure.ts';
import { FrameDecoder, type FrameSink, FrameWriter } from '../../../src/protocol/frames.ts';
import { createToldClock, HELLO } from '../../mesh/support.ts';
import { changedBytes } from '../bytes.ts';
import { vectorBytes } from '../corpus.ts';
import { type Random, randomOf } from '../random.ts';
import { changedRecord } from '../records.ts';
import { Broken, decodeStrictly, holds, type TargetMaker } from '../target.ts';

const STREAM_BYTES_MAX = 262_144;
const BODY_BYTES_MAX = 65_536;
const CALLS_MAX = 8;

function soundStreams(): readonly Uint8Array[] {
  const writer = new FrameWriter();
  writer.hello({ ...HELLO, network: 'local' });
  const said = writer.take();
  for (const call of [1, 3]) {
    writer.open(call);
    writer.data(call, 1, new Uint8Array(40).fill(call));
    writer.credit(call, 1000);
  }
  writer.ping(7);
  writer.fail(1, { code: 'overloaded', facts: { queued: 3, names: ['a'] }, atMs: 5 });
  writer.cancel(3);
  writer.goAway(3, 'stopping');
  return [said, concat(said, writer.take()), ...vectorBytes('mesh', ['bytes'])];
}

/** The frames of a stream as far as their lengths hold. */
function framesIn(stream: Uint8Array): Uint8Array[] {
  const frames: Uint8Array[] = [];
  let at = 0;
  while (at + 5 <= stream.length) {
    const length = new DataView(stream.buffer, stream.byteOffset + at, 4).getUint32(0);
    if (length < 1 || at + 4 + length > stream.length) break;
    frames.push(stream.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return frames;
}

function bendStream(seed: Uint8Array, random: Random, corpus: readonly Uint8Array[]): Uint8Array {
  const frames = framesIn(seed);
  if (frames.length === 0 || random.once(6)) return changedBytes(seed, random);
  for (let left = 1 + random.below(4); left > 0; left--) {
    const at = random.below(frames.length);
    const frame = frames[at] ?? new Uint8Array(0);
    const way = random.below(6);
    if (way === 0) frames.splice(at, 1);
    else if (way === 1) frames.splice(random.below(frames.length + 1), 0, frame);
    else if (way === 2) frames.push(...framesIn(random.pick(corpus)));
    else if (way === 3) frames[at] = concat(Uint8Array.of(random.below(20)), frame.subarray(1));
    else if (way === 4) frames[at] = concat(frame.subarray(0, 1), changedBytes(frame.subarray(1), random));
    else frames[at] = concat(frame.subarray(0, 5), changedRecord(frame.subarray(5), random, []));
  }
  return concat(...frames.flatMap((frame) => [u32be(frame.length), frame]));
}

/** `bytes` in chunks cut where the bytes themselves say. */
function chunksOf(bytes: Uint8Array): Uint8Array[] {
  const random = randomOf(bytes);
  const most = random.pick([1, 3, 17, 1000, 70_000]);
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = 1 + random.below(most);
    chunks.push(bytes.slice(at, at + length));
    at += length;
  }
  return chunks;
}

interface Decoded {
  readonly frames: Uint8Array;
  readonly code: string | undefined;
}

function decode(chunks: readonly Uint8Array[]): Decoded {
  const writer = new FrameWriter();
  const decoder = new FrameDecoder({ bodyBytesMax: BODY_BYTES_MAX });
  try {
    for (const chunk of chunks) decoder.push(chunk, writer);
    decoder.finish();
  } catch (error) {
    if (!(error instanceof SaharaError) || error.kind !== 'input') throw error;
    return { frames: writer.take(), code: error.code };
  }
  return { frames: writer.take(), code: undefined };
}

function takeFrames(input: Uint8Array): void {
  const whole = decode([input]);
  const cut = decode(chunksOf(input));
  holds(whole.code === cut.code, `one chunk gives ${whole.code}, several give ${cut.code}`);
  holds(equalBytes(whole.frames, cut.frames), 'several chunks give other frames than one');
  const known = framesIn(input).filter((frame) => (frame[0] ?? 0) < 0x80);
  const written = concat(...known.flatMap((frame) => [u32be(frame.length), frame]));
  const same = equalBytes(whole.frames, written.subarray(0, whole.frames.length));
  holds(same && (whole.code !== undefined || whole.frames.length === written.length), 'frames changed');
  if (whole.code !== undefined) throw new SaharaError('malformed');
}

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

async function takeSession(input: Uint8Array): Promise<void> {
  const random = randomOf(input);
  const clock = createToldClock();
  const sent = new FrameDecoder({ bodyBytesMax: BODY_BYTES_MAX });
  let defect: string | undefined;
  const watching: FrameSink = {
    ...nothing,
    goAway: (_, reason) => {
      if (reason === 'internal') defect = 'the stream ended for a defect';
    },
    fail: (_, { code }) => {
      if (code === 'internal') defect = 'a call ended for a defect';
    },
  };
  const session = new Session(
    {
      pipe: {
        send(bytes) {
          sent.push(bytes, watching);
          return true;
        },
        close: () => {},
      },
      clock,
      log: silentLog,
      peerId: 'peer',
    },
    {
      initiator: random.once(2),
      hello: { ...HELLO, callsMax: CALLS_MAX },
      pingIntervalMs: 1_000,
      idleMs: 10_000,
      unread: () => true,
      onCall(call) {
        if (random.once(4)) return;
        call.send({ kind: 2, body: Uint8Array.of(1) });
        const way = random.below(3);
        if (way === 0) call.end();
        if (way === 1) call.cancel();
      },
      onClosed: () => {},
    },
  );
  session.ready.catch(() => {});
  for (const chunk of chunksOf(input)) {
    session.receive(chunk);
    holds(session.activeCalls <= CALLS_MAX, `${session.activeCalls} calls at a time`);
  }
  await new Promise((resolve) => setImmediate(resolve));
  clock.advance(20_000);
  session.onClosed();
  holds(session.activeCalls === 0, 'calls outlive their stream');
  if (defect !== undefined) throw new Broken(defect);
}

function read(chunks: readonly Uint8Array[]): { readonly message: string; readonly body: Uint8Array } {
  const reader = new ExchangeReader(Object.values(EXCHANGE_TYPES), BODY_BYTES_MAX);
  let said: { readonly message: string; readonly body: Uint8Array } = {
    message: 'more',
    body: new Uint8Array(0),
  };
  try {
    for (const chunk of chunks) {
      const message = reader.push(chunk);
      if (message) said = { message: `type ${message.type}`, body: message.body };
    }
  } catch (error) {
    if (!(error instanceof SaharaError) || error.kind !== 'input') throw error;
    return { message: error.code, body: new Uint8Array(0) };
  }
  return said;
}

function takeExchange(input: Uint8Array): void {
  const whole = read([input]);
  const cut = read(chunksOf(input));
  holds(whole.message === cut.message, `one chunk gives ${whole.message}, several give ${cut.message}`);
  holds(equalBytes(whole.body, cut.body), 'several chunks give another body than one');
  if (whole.message === `type ${EXCHANGE_TYPES.failure}`) decodeStrictly(failureSchema, whole.body);
}

function soundExchanges(): readonly Uint8Array[] {
  const failure = failureSchema.encode({ code: 'expired', facts: { late: true, by: 3 }, atMs: 1 });
  return [
    ...vectorBytes('mesh', ['bytes']).slice(-12),
    concat(exchangeHead(EXCHANGE_TYPES.failure, failure.length), failure),
    concat(exchangeHead(EXCHANGE_TYPES.answer, 0)),
  ];
}

/** Streams. */
export const STREAM_TARGETS: readonly TargetMaker[] = [
  {
    name: 'frames',
    create: () => ({
      name: 'frames',
      sizeBytesMax: STREAM_BYTES_MAX,
      corpus: soundStreams(),
      bend: bendStream,
      take: takeFrames,
    }),
  },
  {
    name: 'session',
    create: () => ({
      name: 'session',
      sizeBytesMax: STREAM_BYTES_MAX,
      corpus: soundStreams(),
      bend: bendStream,
      take: takeSession,
    }),
  },
  {
    name: 'exchange',
    create: () => ({
      name: 'exchange',
      sizeBytesMax: STREAM_BYTES_MAX,
      corpus: soundExchanges(),
      bend: (seed, random) =>
        random.once(2)
          ? changedBytes(seed, random)
          : concat(seed.subarray(0, 5), changedRecord(seed.subarray(5), random, [])),
      take: takeExchange,
    }),
  },
];
