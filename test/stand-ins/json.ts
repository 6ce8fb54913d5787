/** JSON with amounts and bytes in it, as the stand-ins speak to each other. */
import { fromHex, toHex } from '../../src/base/bytes.ts';

/** Writes amounts and bytes; for `JSON.stringify`. */
export function jsonOut(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return { $grains: String(value) };
  return value instanceof Uint8Array ? { $bytes: toHex(value) } : value;
}

/** Reads them; for `JSON.parse`. */
export function jsonIn(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if ('$grains' in value) return BigInt(String(value.$grains));
  return '$bytes' in value ? fromHex(String(value.$bytes)) : value;
}
