/** Messages of an ABCI socket: each behind its length as an unsigned varint. */
import { concat } from '../../../base/bytes.ts';
import { malformed } from '../../../protocol/codec.ts';
import { FRAME_BYTES_MAX } from './limits.ts';

/** Most bytes of a length: five groups of seven bits hold every length that is allowed. */
const LENGTH_BYTES_MAX = 5;

/** A message in its frame. */
export function encodeFrame(message: Uint8Array): Uint8Array {
  const head: number[] = [];
  let rest = message.length;
  while (rest > 127) {
    head.push((rest & 127) | 128);
    rest >>>= 7;
  }
  head.push(rest);
  return concat(Uint8Array.from(head), message);
}

/** Cuts a stream of bytes into messages, whatever pieces it comes in. Messages are views that nothing writes to again. */
export class FrameReader {
  readonly #sizeBytesMax: number;
  /** What is here of a message that is not whole: its first `#held` bytes. */
  #buffer: Uint8Array = NOTHING;
  #held = 0;
  /** Bytes that it takes before there is anything to look at. */
  #needed = 1;

  constructor(sizeBytesMax: number = FRAME_BYTES_MAX) {
    this.#sizeBytesMax = sizeBytesMax;
  }

  /** The messages that are whole with `piece`. Throws `malformed` for a length that is none or too large. */
  take(piece: Uint8Array): readonly Uint8Array[] {
    if (this.#held + piece.length < this.#needed) {
      this.#append(piece);
      return [];
    }
    if (this.#held > 0) this.#append(piece);
    const all = this.#held > 0 ? this.#buffer.subarray(0, this.#held) : piece;
    const messages: Uint8Array[] = [];
    let at = 0;
    for (;;) {
      const head = readLength(all, at);
      if (head === undefined) {
        this.#needed = all.length - at + 1;
        break;
      }
      if (head.length > this.#sizeBytesMax) throw malformed(`frame of ${head.length} bytes`);
      const end = head.end + head.length;
      if (end > all.length) {
        this.#needed = end - at;
        break;
      }
      messages.push(all.subarray(head.end, end));
      at = end;
    }
    // A buffer of which messages are views is left to them.
    this.#buffer = NOTHING;
    this.#held = 0;
    this.#append(all.subarray(at));
    return messages;
  }

  /** Adds to what is held; the room for it doubles, so that a message in many pieces is copied twice at most. */
  #append(piece: Uint8Array): void {
    const held = this.#held + piece.length;
    if (held > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(held, 2 * this.#buffer.length));
      larger.set(this.#buffer.subarray(0, this.#held));
      this.#buffer = larger;
    }
    this.#buffer.set(piece, this.#held);
    this.#held = held;
  }
}

const NOTHING = new Uint8Array(0);

/** A length and where it ends; `undefined` while it is not all here. */
function readLength(
  bytes: Uint8Array,
  start: number,
): { readonly length: number; readonly end: number } | undefined {
  let length = 0;
  for (let i = 0; i < LENGTH_BYTES_MAX; i++) {
    const byte = bytes[start + i];
    if (byte === undefined) return undefined;
    length += (byte & 127) * 2 ** (7 * i);
    if (byte < 128) return { length, end: start + i + 1 };
  }
  throw malformed('frame: its length has no end');
}
