/**
 * A message that no block holds: while delays run, it has CometBFT, which makes blocks only when something waits, make
 * one. It names the height after which it is wanted, so that it is gone from every mempool once that has passed.
 */
import { compareBytes, concat, u64be, utf8 } from '../../../base/bytes.ts';

const MARK = utf8('sahara/tick/1/');

/** The message by which the block after `height` is asked for. */
export function encodeTick(height: number): Uint8Array {
  return concat(MARK, u64be(BigInt(height)));
}

/** The height in such a message; `undefined` for anything else. */
export function tickHeight(bytes: Uint8Array): number | undefined {
  if (bytes.length !== MARK.length + 8) return undefined;
  if (compareBytes(bytes.subarray(0, MARK.length), MARK) !== 0) return undefined;
  return Number(Buffer.from(bytes.buffer, bytes.byteOffset + MARK.length, 8).readBigUInt64BE());
}
