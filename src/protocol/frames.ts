/**
 * The frames of a call stream (`spec/mesh.md`): many calls share one byte stream between two peers. A frame is a
 * 32-bit big-endian length, one type byte and a body; the length counts what follows it. A stream that just
 * stops looks like a clean end to libp2p, so every call ends by END, ERR or CANCEL, never by silence.
 *
 * One vocabulary serves both ways: `FrameWriter` is a sink that encodes what it is told, `FrameDecoder` tells a
 * sink what it reads. Neither keeps state about calls; who may send what when is the session's business.
 */
import { fromUtf8, utf8 } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import { malformed } from './codec.ts';
import { failureSchema, type WireFailure } from './failure.ts';
import { bytesUpTo, record, type Schema, text, u32, uint } from './schema.ts';

/** The libp2p protocol id of call streams. */
export const CALL_PROTOCOL = '/sahara/call/1';

/** The version spoken, named in HELLO. */
export const FRAMES_VERSION = 1;

/** Bytes of a frame before its body: the length and the type. */
const FRAME_HEAD_BYTES = 5;

/** Bytes of a DATA frame besides its body: length, type, call and kind. */
export const DATA_OVERHEAD_BYTES = 10;

/** Most bytes of a frame that carries no call data, length excluded. */
export const CONTROL_FRAME_BYTES_MAX = 16_384;

/** Most bytes of the certificates in a HELLO. */
export const CERTIFICATE_BYTES_MAX = 12_288;

/** Greatest kind of a DATA frame; kinds are the call layer's business. */
export const DATA_KIND_MAX = 239;

/** Bounds within which a HELLO's limits must lie. */
export const HELLO_LIMITS = {
  /** Bytes of one DATA body. */
  bodyBytes: { min: 4_096, max: 1_048_576 },
  /** Bytes of DATA frames that a call may have on its way unread. */
  windowBytes: { min: 16_384, max: 16_777_216 },
  /** Calls open at a time that the other side began. */
  calls: { min: 1, max: 65_535 },
} as const;

/** Frame types on the wire. Types from 0x80 up are skipped by who does not know them. */
export const FRAME_TYPES = {
  hello: 0x01,
  open: 0x02,
  data: 0x03,
  end: 0x04,
  fail: 0x05,
  cancel: 0x06,
  credit: 0x07,
  goAway: 0x08,
  ping: 0x09,
  pong: 0x0a,
} as const;

const SKIPPED_FROM = 0x80;

/** What each side says first: what it speaks and how much it takes. */
export interface Hello {
  readonly version: number;
  readonly network: string;
  /** Greatest DATA body that the sender of this HELLO takes, in bytes. */
  readonly bodyBytesMax: number;
  /** Credit that each call starts with towards the sender of this HELLO, in bytes. */
  readonly windowBytes: number;
  /** Calls of the other side that the sender of this HELLO serves at a time. */
  readonly callsMax: number;
  /** The sender's certificates, opaque here. May be empty. */
  readonly certificate: Uint8Array;
}

const helloSchema: Schema<Hello> = record('hello', {
  version: uint(0xffff),
  network: text(64),
  bodyBytesMax: u32,
  windowBytes: u32,
  callsMax: u32,
  certificate: bytesUpTo(CERTIFICATE_BYTES_MAX),
});

/** Takes frames, one call each. Bodies are views: copy what outlives the call. */
export interface FrameSink {
  hello(hello: Hello): void;
  open(call: number): void;
  data(call: number, kind: number, body: Uint8Array): void;
  end(call: number): void;
  fail(call: number, failure: WireFailure): void;
  cancel(call: number): void;
  /** More DATA bytes may be sent for `call`. */
  credit(call: number, bytes: number): void;
  /** No call after `lastCall` of the receiver will be served; `reason`: `idle`, `stopping` or an error code. */
  goAway(lastCall: number, reason: string): void;
  ping(token: number): void;
  pong(token: number): void;
}

const SLAB_BYTES = 65_536;

/** Encodes frames one after the other; `take` hands over what has gathered since. */
export class FrameWriter implements FrameSink {
  #slab = new Uint8Array(SLAB_BYTES);
  #view = new DataView(this.#slab.buffer);
  #start = 0;
  #end = 0;

  /** Bytes waiting for `take`. */
  get length(): number {
    return this.#end - this.#start;
  }

  /** The encoded frames since the last call, as bytes that will not change any more. */
  take(): Uint8Array {
    const taken = this.#slab.subarray(this.#start, this.#end);
    this.#start = this.#end;
    return taken;
  }

  hello(hello: Hello): void {
    this.#blob(FRAME_TYPES.hello, helloSchema.encode(hello));
  }

  open(call: number): void {
    this.#short(FRAME_TYPES.open, call);
  }

  data(call: number, kind: number, body: Uint8Array): void {
    const at = this.#head(FRAME_TYPES.data, 5 + body.length);
    this.#view.setUint32(at, call);
    this.#slab[at + 4] = kind;
    this.#slab.set(body, at + 5);
  }

  end(call: number): void {
    this.#short(FRAME_TYPES.end, call);
  }

  fail(call: number, failure: WireFailure): void {
    const encoded = failureSchema.encode(failure);
    const at = this.#head(FRAME_TYPES.fail, 4 + encoded.length);
    this.#view.setUint32(at, call);
    this.#slab.set(encoded, at + 4);
  }

  cancel(call: number): void {
    this.#short(FRAME_TYPES.cancel, call);
  }

  credit(call: number, bytes: number): void {
    const at = this.#head(FRAME_TYPES.credit, 8);
    this.#view.setUint32(at, call);
    this.#view.setUint32(at + 4, bytes);
  }

  goAway(lastCall: number, reason: string): void {
    const encoded = utf8(reason);
    const at = this.#head(FRAME_TYPES.goAway, 4 + encoded.length);
    this.#view.setUint32(at, lastCall);
    this.#slab.set(encoded, at + 4);
  }

  ping(token: number): void {
    this.#short(FRAME_TYPES.ping, token);
  }

  pong(token: number): void {
    this.#short(FRAME_TYPES.pong, token);
  }

  #short(type: number, value: number): void {
    // First the place: finding it may exchange the slab and its view.
    const at = this.#head(type, 4);
    this.#view.setUint32(at, value);
  }

  #blob(type: number, body: Uint8Array): void {
    const at = this.#head(type, body.length);
    this.#slab.set(body, at);
  }

  #head(type: number, bodyBytes: number): number {
    this.#reserve(FRAME_HEAD_BYTES + bodyBytes);
    const at = this.#end;
    this.#view.setUint32(at, 1 + bodyBytes);
    this.#slab[at + 4] = type;
    this.#end = at + FRAME_HEAD_BYTES + bodyBytes;
    return at + FRAME_HEAD_BYTES;
  }

  // What was taken still belongs to its taker, so a full slab is left to them and never written again.
  #reserve(bytes: number): void {
    if (this.#end + bytes <= this.#slab.length) return;
    const waiting = this.#slab.subarray(this.#start, this.#end);
    this.#slab = new Uint8Array(Math.max(SLAB_BYTES, 2 * waiting.length + bytes));
    this.#view = new DataView(this.#slab.buffer);
    this.#slab.set(waiting);
    this.#start = 0;
    this.#end = waiting.length;
  }
}

/**
 * Reads frames out of chunks that may be cut anywhere. Errors: `malformed`, `too-large` or `unknown-critical`;
 * after one the stream cannot be read any further and every later call throws the same error.
 */
export class FrameDecoder {
  readonly #frameBytesMax: number;
  #partial = new Uint8Array(0);
  #filled = 0;
  #failure: SaharaError | undefined;

  /** `bodyBytesMax`: the greatest DATA body taken, as this side's HELLO says. */
  constructor(options: { readonly bodyBytesMax: number }) {
    this.#frameBytesMax = Math.max(CONTROL_FRAME_BYTES_MAX, options.bodyBytesMax + DATA_OVERHEAD_BYTES - 4);
  }

  /** Tells `sink` every frame that `chunk` completes. */
  push(chunk: Uint8Array, sink: FrameSink): void {
    if (this.#failure) throw this.#failure;
    try {
      this.#push(chunk, sink);
    } catch (error) {
      if (error instanceof SaharaError) this.#failure = error;
      throw error;
    }
  }

  /** Says that nothing more comes: `malformed` if a frame is incomplete. */
  finish(): void {
    if (this.#failure) throw this.#failure;
    if (this.#filled > 0) throw malformed('truncated frame');
  }

  #push(chunk: Uint8Array, sink: FrameSink): void {
    let offset = this.#filled > 0 ? this.#complete(chunk, sink) : 0;
    const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    while (chunk.length - offset >= 4) {
      const length = this.#checked(view.getUint32(offset));
      if (chunk.length - offset - 4 < length) break;
      this.#frame(chunk, view, offset + 4, offset + 4 + length, sink);
      offset += 4 + length;
    }
    if (offset < chunk.length) this.#keep(chunk.subarray(offset));
  }

  /** Fills the frame begun earlier from `chunk`; answers how many bytes of it were used. */
  #complete(chunk: Uint8Array, sink: FrameSink): number {
    let used = 0;
    if (this.#filled < 4) {
      used = this.#fill(chunk, 0, 4);
      if (this.#filled < 4) return used;
    }
    const view = new DataView(this.#partial.buffer);
    const total = 4 + this.#checked(view.getUint32(0));
    used += this.#fill(chunk, used, total);
    if (this.#filled < total) return used;
    const frame = this.#partial;
    this.#partial = new Uint8Array(0);
    this.#filled = 0;
    this.#frame(frame, new DataView(frame.buffer), 4, total, sink);
    return used;
  }

  #fill(chunk: Uint8Array, from: number, total: number): number {
    const used = Math.min(total - this.#filled, chunk.length - from);
    const needed = this.#filled + used;
    // Memory follows the bytes that came, not the length that was announced.
    if (this.#partial.length < needed) {
      const grown = new Uint8Array(Math.min(total, Math.max(needed, 2 * this.#partial.length)));
      grown.set(this.#partial.subarray(0, this.#filled));
      this.#partial = grown;
    }
    this.#partial.set(chunk.subarray(from, from + used), this.#filled);
    this.#filled += used;
    return used;
  }

  #keep(rest: Uint8Array): void {
    if (this.#filled === 0) this.#fill(rest, 0, rest.length);
  }

  #checked(length: number): number {
    if (length < 1) throw malformed('empty frame');
    if (length > this.#frameBytesMax) {
      throw new SaharaError('too-large', {
        what: 'frame',
        sizeBytes: length,
        limitBytes: this.#frameBytesMax,
      });
    }
    return length;
  }

  #frame(bytes: Uint8Array, view: DataView, start: number, end: number, sink: FrameSink): void {
    const type = bytes[start] ?? 0;
    const at = start + 1;
    if (type === FRAME_TYPES.data) {
      if (end - at < 5) throw malformed('DATA too short');
      const kind = view.getUint8(at + 4);
      if (kind > DATA_KIND_MAX) throw malformed('DATA kind is reserved');
      sink.data(view.getUint32(at), kind, bytes.subarray(at + 5, end));
      return;
    }
    if (end - start > CONTROL_FRAME_BYTES_MAX) {
      const facts = { what: 'control frame', sizeBytes: end - start, limitBytes: CONTROL_FRAME_BYTES_MAX };
      throw new SaharaError('too-large', facts);
    }
    if (type >= SKIPPED_FROM) return;
    const reader = CONTROL_READERS[type];
    if (!reader) throw new SaharaError('unknown-critical', { what: 'frame', type });
    reader(bytes.subarray(at, end), sink);
  }
}

type ControlReader = (body: Uint8Array, sink: FrameSink) => void;

const CONTROL_READERS: Readonly<Record<number, ControlReader>> = {
  [FRAME_TYPES.hello]: (body, sink) => sink.hello(readHello(body)),
  [FRAME_TYPES.open]: (body, sink) => sink.open(u32Only(body)),
  [FRAME_TYPES.end]: (body, sink) => sink.end(u32Only(body)),
  [FRAME_TYPES.fail]: (body, sink) => sink.fail(u32At(body, 0), failureSchema.decode(body.subarray(4))),
  [FRAME_TYPES.cancel]: (body, sink) => sink.cancel(u32Only(body)),
  [FRAME_TYPES.credit](body, sink) {
    if (body.length !== 8) throw malformed('CREDIT of the wrong size');
    sink.credit(u32At(body, 0), u32At(body, 4));
  },
  [FRAME_TYPES.goAway](body, sink) {
    const reason = fromUtf8(body.subarray(4, 68));
    if (reason === undefined || body.length > 68) throw malformed('GOAWAY reason');
    sink.goAway(u32At(body, 0), reason);
  },
  [FRAME_TYPES.ping]: (body, sink) => sink.ping(u32Only(body)),
  [FRAME_TYPES.pong]: (body, sink) => sink.pong(u32Only(body)),
};

function u32At(body: Uint8Array, offset: number): number {
  if (body.length < offset + 4) throw malformed('frame too short');
  return new DataView(body.buffer, body.byteOffset, body.byteLength).getUint32(offset);
}

function u32Only(body: Uint8Array): number {
  if (body.length !== 4) throw malformed('frame of the wrong size');
  return u32At(body, 0);
}

function readHello(body: Uint8Array): Hello {
  const hello = helloSchema.decode(body);
  within('bodyBytesMax', hello.bodyBytesMax, HELLO_LIMITS.bodyBytes);
  within('windowBytes', hello.windowBytes, HELLO_LIMITS.windowBytes);
  within('callsMax', hello.callsMax, HELLO_LIMITS.calls);
  return hello;
}

function within(name: string, value: number, range: { readonly min: number; readonly max: number }): void {
  if (value < range.min || value > range.max) throw malformed(`HELLO ${name} out of range`);
}
