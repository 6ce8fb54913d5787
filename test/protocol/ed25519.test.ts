import { ed25519 } from '@noble/curves/ed25519.js';
import { sha512 } from '@noble/hashes/sha2.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat } from '../../src/base/bytes.ts';
import { acceptablePoint, ED25519_ORDER, fromLittleEndian } from '../../src/protocol/ed25519.ts';
import { sodium } from '../../src/protocol/sodium.ts';
import { createSigner, nativeSigner, nativeSuite, swiftSuite } from '../../src/protocol/suite-native.ts';
import { portableSuite } from '../../src/protocol/suite-portable.ts';

const { Point } = ed25519;
const L = ED25519_ORDER;
const scalar32 = (value: bigint): Uint8Array =>
  Uint8Array.from({ length: 32 }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));

/** The eight points of small order: multiples of one of order 8. */
const TORSION = (() => {
  const eighth = Point.fromHex('c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a');
  const points = [Point.ZERO];
  for (let i = 1; i < 8; i++) points.push((points.at(-1) ?? Point.ZERO).add(eighth));
  return points;
})();

const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
const message = fc.uint8Array({ maxLength: 200 });

describe('the suites', () => {
  it('have libsodium on the platforms that are tested', () => {
    expect(sodium).toBeDefined();
    expect(swiftSuite.verify).not.toBe(nativeSuite.verify);
  });

  it('accept what either signs, and agree with noble on the signature itself (SIGN-1)', () => {
    fc.assert(
      fc.property(bytes32, message, (seed, text) => {
        const signer = createSigner(seed);
        const signature = signer.sign(text);
        const plain = nativeSigner(seed);
        expect(plain.publicKey).toEqual(signer.publicKey);
        expect(plain.sign(text)).toEqual(signature);
        expect(signature).toEqual(ed25519.sign(text, seed));
        expect(signer.publicKey).toEqual(ed25519.getPublicKey(seed));
        expect(nativeSuite.verify(signer.publicKey, text, signature)).toBe(true);
        expect(swiftSuite.verify(signer.publicKey, text, signature)).toBe(true);
        expect(portableSuite.verify(signer.publicKey, text, signature)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  it('agree on keys and commitments with a small-order component (SIGN-3)', () => {
    const secrets = fc.bigInt({ min: 1n, max: L - 1n });
    const corner = fc.nat(7);
    let accepted = 0;
    fc.assert(
      fc.property(secrets, secrets, corner, corner, message, (a, r, keyTorsion, rTorsion, text) => {
        const key = Point.BASE.multiply(a)
          .add(TORSION[keyTorsion] ?? Point.ZERO)
          .toBytes();
        const commitment = Point.BASE.multiply(r)
          .add(TORSION[rTorsion] ?? Point.ZERO)
          .toBytes();
        const k = fromLittleEndian(sha512(concat(commitment, key, text))) % L;
        const signature = concat(commitment, scalar32((r + k * a) % L));
        const verdict = nativeSuite.verify(key, text, signature);
        expect(swiftSuite.verify(key, text, signature)).toBe(verdict);
        expect(portableSuite.verify(key, text, signature)).toBe(verdict);
        if (verdict) accepted++;
      }),
      { numRuns: 150 },
    );
    expect(accepted).toBeGreaterThan(0);
  });

  it('agree on noise (SIGN-3)', () => {
    const signature = fc.uint8Array({ minLength: 64, maxLength: 64 });
    fc.assert(
      fc.property(bytes32, message, signature, (key, text, noise) => {
        const verdict = nativeSuite.verify(key, text, noise);
        expect(swiftSuite.verify(key, text, noise)).toBe(verdict);
        expect(portableSuite.verify(key, text, noise)).toBe(verdict);
      }),
      { numRuns: 200 },
    );
  });

  it('hash alike', () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 4 }), (parts) => {
        expect(portableSuite.sha256(...parts)).toEqual(nativeSuite.sha256(...parts));
      }),
    );
  });
});

describe('the filter', () => {
  it('refuses every encoding of a small-order point and every y above the field (SIGN-2)', () => {
    for (const point of TORSION) expect(acceptablePoint(point.toBytes())).toBe(false);
    const p = 2n ** 255n - 19n;
    for (let above = 0n; above < 19n; above++) {
      const encoded = scalar32(p + above);
      expect(acceptablePoint(encoded)).toBe(false);
      expect(acceptablePoint(encoded.map((byte, i) => (i === 31 ? byte | 0x80 : byte)))).toBe(false);
    }
    expect(acceptablePoint(Point.BASE.toBytes())).toBe(true);
    expect(acceptablePoint(Point.BASE.toBytes().subarray(1))).toBe(false);
  });
});
