/**
 * What both implementations of Ed25519 agree on before they look at a signature: R and A are canonical encodings
 * (y < p) of points that are not of small order, and S < L. Without this filter implementations disagree on
 * published edge cases (Chalkias, Garillot, Nikolaenko: "Taming the many EdDSAs", 2020), and a ledger could fork.
 */

/** Little-endian y of the points of order 1, 2, 4 and 8; the sign bit is ignored. */
const SMALL_ORDER: readonly string[] = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
];
const SMALL_ORDER_BYTES: readonly Uint8Array[] = SMALL_ORDER.map((hex) =>
  Uint8Array.from({ length: 32 }, (_, i) => Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16)),
);

/** p = 2^255 - 19, little-endian. */
const P = littleEndian(2n ** 255n - 19n);

/** L, the order of Ed25519's prime-order group. */
export const ED25519_ORDER: bigint = 2n ** 252n + 27742317777372353535851937790883648493n;
const L = littleEndian(ED25519_ORDER);

/** The unsigned integer that `bytes` hold, least significant first. */
export function fromLittleEndian(bytes: Uint8Array): bigint {
  let value = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i] as number);
  return value;
}

function littleEndian(value: bigint): Uint8Array {
  return Uint8Array.from({ length: 32 }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
}

/** Whether the 32 bytes of `a` from `at` on are below `b`, little-endian, with the top byte masked. */
function below(a: Uint8Array, at: number, b: Uint8Array, topMask: number): boolean {
  for (let i = 31; i >= 0; i--) {
    const left = (a[at + i] as number) & (i === 31 ? topMask : 0xff);
    const right = b[i] as number;
    if (left !== right) return left < right;
  }
  return false;
}

function smallOrder(bytes: Uint8Array, at: number): boolean {
  return SMALL_ORDER_BYTES.some((known) => {
    for (let i = 0; i < 32; i++)
      if (known[i] !== ((bytes[at + i] as number) & (i === 31 ? 0x7f : 0xff))) return false;
    return true;
  });
}

function acceptableAt(bytes: Uint8Array, at: number): boolean {
  return below(bytes, at, P, 0x7f) && !smallOrder(bytes, at);
}

/** Whether `point` is a canonical encoding that is not of small order. It may still not lie on the curve. */
export function acceptablePoint(point: Uint8Array): boolean {
  return point.length === 32 && acceptableAt(point, 0);
}

/** Whether a key and signature pass the filter. */
export function acceptableSignature(publicKey: Uint8Array, signature: Uint8Array): boolean {
  if (signature.length !== 64) return false;
  return acceptablePoint(publicKey) && acceptableAt(signature, 0) && below(signature, 32, L, 0xff);
}
