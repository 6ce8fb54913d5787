import { fromHex, toHex } from '../../src/base/bytes.ts';
import { ED25519_ORDER, fromLittleEndian } from '../../src/protocol/ed25519.ts';
import type { Vectors } from './file.ts';

/** RFC 8032 section 7.1: public key, message, signature. */
const RFC_8032: readonly (readonly [string, string, string])[] = [
  [
    'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    '',
    'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
  ],
  [
    '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    '72',
    '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  ],
  [
    'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
    'af82',
    '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
  ],
];

/** The twelve cases of "Taming the many EdDSAs" (Chalkias, Garillot, Nikolaenko, 2020), as message, key, R and S. */
const SPECCHECK: readonly (readonly [about: string, message: string, key: string, signature: string])[] = [
  [
    'small-order A and R, S = 0',
    '8c93255d71dcab10e8f379c26200f3c7bd5f09d9bc3068d3ef4edeb4853022b6',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a0000000000000000000000000000000000000000000000000000000000000000',
  ],
  [
    'small-order A',
    '9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
    'f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04',
  ],
  [
    'small-order R',
    'aebf3f2601a0c8c5d39cc7d8911642f740b78168218da8471772b35f9d35b9ab',
    'f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa8c4bd45aecaca5b24fb97bc10ac27ac8751a7dfe1baff8b953ec9f5833ca260e',
  ],
  [
    'mixed-order A and R, the equation holds with and without the cofactor',
    '9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79',
    'cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d',
    '9046a64750444938de19f227bb80485e92b83fdb4b6506c160484c016cc1852f87909e14428a7a1d62e9f22f3d3ad7802db02eb2e688b6c52fcd6648a98bd009',
  ],
  [
    'mixed-order A and R, the equation holds only with the cofactor',
    'e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c',
    'cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d',
    '160a1cb0dc9c0258cd0a7d23e94d8fa878bcb1925f2c64246b2dee1796bed5125ec6bc982a269b723e0668e540911a9a6a58921d6925e434ab10aa7940551a09',
  ],
  [
    'mixed-order A, prime-order R, only with the cofactor',
    'e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c',
    'cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d',
    '21122a84e0b5fca4052f5b1235c80a537878b38f3142356b2c2384ebad4668b7e40bc836dac0f71076f9abe3a53f9c03c1ceeeddb658d0030494ace586687405',
  ],
  [
    'S above L',
    '85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40',
    '442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623',
    'e96f66be976d82e60150baecff9906684aebb1ef181f67a7189ac78ea23b6c0e547f7690a0e2ddcd04d87dbc3490dc19b3b3052f7ff0538cb68afb369ba3a514',
  ],
  [
    'S far above L',
    '85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40',
    '442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623',
    '8ce5b96c8f26d0ab6c47958c9e68b937104cd36e13c33566acd2fe8d38aa19427e71f98a473474f2f13f06f97c20d58cc3f54b8bd0d272f42b695dd7e89a8c22',
  ],
  [
    'non-canonical small-order R',
    '9bedc267423725d473888631ebf45988bad3db83851ee85c85e241a07d148b41',
    'f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff03be9678ac102edcd92b0210bb34d7428d12ffc5df5f37e359941266a4e35f0f',
  ],
  [
    'non-canonical small-order R, another equation',
    '9bedc267423725d473888631ebf45988bad3db83851ee85c85e241a07d148b41',
    'f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffca8c5b64cd208982aa38d4936621a4775aa233aa0505711d8fdcfdaa943d4908',
  ],
  [
    'non-canonical small-order A',
    'e96b7021eb39c1a163b6da4e3093dcd3f21387da4cc4572be588fafae23c155b',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
    'a9d55260f765261eb9b84e106f665e00b867287a761990d7135963ee0a7d59dca5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04',
  ],
  [
    'non-canonical small-order A, another message',
    '39a591f5321bbe07fd5a23dc2f39d025d74526615746727ceefd6e82ae65c06f',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
    'a9d55260f765261eb9b84e106f665e00b867287a761990d7135963ee0a7d59dca5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04',
  ],
];

/** All fourteen encodings that decode, strictly or not, to a point of small order. */
const SMALL_ORDER: readonly string[] = [
  `01${'00'.repeat(31)}`,
  `01${'00'.repeat(30)}80`,
  `ec${'ff'.repeat(30)}7f`,
  `ec${'ff'.repeat(31)}`,
  '00'.repeat(32),
  `${'00'.repeat(31)}80`,
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85',
  `ed${'ff'.repeat(30)}7f`,
  `ed${'ff'.repeat(31)}`,
  `ee${'ff'.repeat(30)}7f`,
  `ee${'ff'.repeat(31)}`,
];

function plusOrder(signature: string): string {
  const scalar = fromLittleEndian(fromHex(signature.slice(64)) ?? new Uint8Array(0)) + ED25519_ORDER;
  const bytes = Uint8Array.from({ length: 32 }, (_, i) => Number((scalar >> BigInt(8 * i)) & 0xffn));
  return signature.slice(0, 64) + toHex(bytes);
}

interface Case {
  readonly name: string;
  readonly publicKey: string;
  readonly message: string;
  readonly signature: string;
}

/** Signatures that every implementation must accept or refuse alike. */
export function ed25519Vectors(): Vectors<Case, Case> {
  const valid: Case[] = [];
  const invalid: Case[] = [];
  RFC_8032.forEach(([publicKey, message, signature], i) => {
    valid.push({ name: `RFC 8032 test ${i + 1}`, publicKey, message, signature });
    invalid.push({ name: `test ${i + 1} with S + L`, publicKey, message, signature: plusOrder(signature) });
    invalid.push({ name: `test ${i + 1}, another message`, publicKey, message: `${message}00`, signature });
    invalid.push({ name: `test ${i + 1}, cut`, publicKey, message, signature: signature.slice(0, 126) });
    invalid.push({ name: `test ${i + 1}, longer`, publicKey, message, signature: `${signature}00` });
    invalid.push({ name: `test ${i + 1}, key cut`, publicKey: publicKey.slice(2), message, signature });
  });
  SPECCHECK.forEach(([about, message, publicKey, signature], i) => {
    const list = i === 3 ? valid : invalid;
    list.push({ name: `speccheck ${i}: ${about}`, publicKey, message, signature });
  });
  const [key = '', , signature = ''] = RFC_8032[0] ?? [];
  for (const point of SMALL_ORDER) {
    invalid.push({ name: `small-order key ${point}`, publicKey: point, message: '', signature });
    for (const r of SMALL_ORDER) {
      const zero = r + '00'.repeat(32);
      invalid.push({
        name: `small-order A and R, S = 0`,
        publicKey: point,
        message: '5a63617368',
        signature: zero,
      });
    }
    const replaced = point + signature.slice(64);
    invalid.push({ name: `small-order R ${point}`, publicKey: key, message: '', signature: replaced });
  }
  const offCurve = `02${'00'.repeat(31)}`;
  invalid.push({ name: 'a key that is not on the curve', publicKey: offCurve, message: '', signature });
  const offR = offCurve + signature.slice(64);
  invalid.push({ name: 'R that is not on the curve', publicKey: key, message: '', signature: offR });
  return {
    about:
      'Ed25519 signatures: `valid` must be accepted, `invalid` refused (SIGN-1 to SIGN-3). All values are hex.',
    valid,
    invalid,
  };
}
