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

/** Cuts a stream of bytes into messages, whatever pieces it comes in. */
export class FrameReader {
  readonly #sizeBytesMax: number;
  #pieces: Uint8Array[] = [];
  #held = 0;
  /** Bytes that it takes before there is anything to look at. */
  #needed = 1;

  constructor(sizeBytesMax: number = FRAME_BYTES_MAX) {
    this.#sizeBytesMax = sizeBytesMax;
  }

  /** The messages that are whole with `piece`. Throws `malformed` for a length that is none or too large. */
  take(piece: Uint8Array): readonly Uint8Array[] {
    this.#pieces.push(piece);
    this.#held += piece.length;
    if (this.#held < this.#needed) return [];
    const all = this.#pieces.length === 1 ? piece : concat(...this.#pieces);
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
    this.#pieces = at < all.length ? [all.subarray(at)] : [];
    this.#held = all.length - at;
    return messages;
  }
}

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
