import { concat, toHex } from '../../src/base/bytes.ts';
import { callRequest } from '../../src/protocol/call.ts';
import { Writer } from '../../src/protocol/codec.ts';
import { receipt } from '../../src/protocol/payment.ts';
import { filled, sampleStory, tell } from '../../test/protocol/sample.ts';
import type { Vectors } from './file.ts';

interface ValueCase {
  readonly name: string;
  readonly hex: string;
  /** Integers as decimal texts, byte strings as `{ "bytes": hex }`, maps as `{ "map": [[key, value]] }`. */
  readonly value: unknown;
}

interface RefusedCase {
  readonly name: string;
  readonly hex: string;
}

const written = (write: (writer: Writer) => void): string => {
  const writer = new Writer();
  write(writer);
  return toHex(writer.finish());
};

const INTEGERS = [
  0n,
  1n,
  23n,
  24n,
  255n,
  256n,
  65_535n,
  65_536n,
  2n ** 32n - 1n,
  2n ** 32n,
  2n ** 53n,
  10n ** 18n,
];

/** Values and their only encoding; byte strings that are the encoding of nothing. */
export function encodingVectors(): Vectors<ValueCase, RefusedCase> {
  const valid: ValueCase[] = INTEGERS.map((value) => ({
    name: `integer ${value}`,
    hex: written((writer) => writer.uint(value)),
    value: String(value),
  }));
  for (const text of ['', 'sahara', 'é', 'e\u0301', '🐪', '\ufeffmark']) {
    valid.push({ name: `text ${JSON.stringify(text)}`, hex: written((w) => w.text(text)), value: text });
  }
  for (const length of [0, 1, 23, 24, 256]) {
    const bytes = filled(0xab, length);
    const value = { bytes: toHex(bytes) };
    valid.push({ name: `${length} bytes`, hex: written((w) => w.bytes(bytes)), value });
  }
  valid.push({ name: 'false', hex: 'f4', value: false });
  valid.push({ name: 'true', hex: 'f5', value: true });
  valid.push({ name: 'null', hex: 'f6', value: null });
  valid.push({ name: 'an empty array', hex: '80', value: [] });
  valid.push({ name: 'an array', hex: '8301f66161', value: ['1', null, 'a'] });
  const map = new Map([
    ['b', 1],
    ['aa', 2],
    ['a', 3],
    ['', 4],
  ]);
  valid.push({
    name: 'a map, keys by length and then by bytes',
    hex: written((w) => w.map(map, (value) => w.uint(value))),
    value: {
      map: [
        ['', '4'],
        ['a', '3'],
        ['b', '1'],
        ['aa', '2'],
      ],
    },
  });
  const nested = (depth: number): string => `${'81'.repeat(depth)}00`;
  let value: unknown = '0';
  for (let i = 0; i < 16; i++) value = [value];
  valid.push({ name: 'sixteen levels', hex: nested(16), value });
  return {
    about:
      'The canonical encoding (ENC-1 to ENC-9). `valid`: a value and its one encoding. `invalid`: a reader refuses.',
    valid,
    invalid: [
      { name: 'depth bomb of 17 levels', hex: nested(17) },
      { name: 'depth bomb of 1,000 levels', hex: nested(1000) },
      { name: 'size bomb: an array of 2^32 items', hex: '9b0000000100000000' },
      { name: 'size bomb: a byte string of 2^62 bytes', hex: '5b4000000000000000' },
      { name: 'size bomb: a map of 2^32 keys', hex: 'bb0000000100000000' },
      { name: 'integer 23 in two bytes', hex: '1817' },
      { name: 'integer 255 in three bytes', hex: '1900ff' },
      { name: 'integer 65535 in five bytes', hex: '1a0000ffff' },
      { name: 'integer 2^32 - 1 in nine bytes', hex: '1b00000000ffffffff' },
      { name: 'length 1 in two bytes', hex: '580100' },
      { name: 'indefinite array', hex: '9fff' },
      { name: 'indefinite bytes', hex: '5f4100ff' },
      { name: 'indefinite text', hex: '7f6161ff' },
      { name: 'indefinite map', hex: 'bfff' },
      { name: 'half float', hex: 'f93c00' },
      { name: 'double float', hex: 'fb400921fb54442d18' },
      { name: 'undefined', hex: 'f7' },
      { name: 'tag', hex: 'c100' },
      { name: 'CID tag', hex: 'd82a450001550000' },
      { name: 'duplicate key', hex: 'a2616100616101' },
      { name: 'keys out of order', hex: 'a2616200616100' },
      { name: 'longer key first', hex: 'a262616100616200' },
      { name: 'key that is no text', hex: 'a10000' },
      { name: 'overlong UTF-8', hex: '62c080' },
      { name: 'surrogate in UTF-8', hex: '63eda080' },
      { name: 'cut UTF-8', hex: '61c3' },
      { name: 'cut text', hex: '6361' },
      { name: 'cut array', hex: '8200' },
      { name: 'cut integer', hex: '19ff' },
      { name: 'bytes after the end', hex: '0000' },
      { name: 'nothing', hex: '' },
    ],
  };
}

interface RecordCase {
  readonly name: string;
  readonly record: string;
  readonly hex: string;
}

/** Records of `spec/records.md`: sound ones, and ones with a field too many, too few, or in another's place. */
export function recordVectors(): Vectors<RecordCase, RecordCase> {
  const told = tell(sampleStory());
  const request = callRequest.decode(told.opening.request);
  const named = (record: string, name: string, bytes: Uint8Array): RecordCase => ({
    name,
    record,
    hex: toHex(bytes),
  });
  const end = told.ending.receipt.payload;
  const receiptOf = receipt.decode(end);
  const spliced = (bytes: Uint8Array, at: number, removed: number, added: number[]): Uint8Array =>
    concat(bytes.subarray(0, at), Uint8Array.from(added), bytes.subarray(at + removed));
  const plain = callRequest.encode({ ...request, context: [], skill: undefined, seed: undefined });
  const seedAsSkill = spliced(plain, 35, 1, [0x18, 0x2a]);
  const skillAsSeed = spliced(plain, plain.length - 1, 1, [0x61, 0x61]);
  return {
    about: 'Records (ENC-10 to ENC-13). `invalid`: a reader of that record refuses.',
    valid: [
      named('envelope', 'an envelope', told.opening.envelope.payload),
      named('call-request', 'a request', told.opening.request),
      named('call-request', 'a request without its optional fields', plain),
      named('receipt', 'a receipt', end),
      named('receipt', 'the greatest amount', receipt.encode({ ...receiptOf, amount: 10n ** 18n })),
    ],
    invalid: [
      named('call-request', 'swapped optional fields: a seed in the place of the skill', seedAsSkill),
      named('call-request', 'swapped optional fields: a skill in the place of the seed', skillAsSeed),
      named('call-request', 'one field too few', spliced(plain.subarray(0, -1), 0, 1, [0x87])),
      named(
        'call-request',
        'one field too many',
        concat(Uint8Array.of(0x89), plain.subarray(1), Uint8Array.of(0xf6)),
      ),
      named('call-request', 'a required field absent', spliced(plain, 1, 34, [0xf6])),
      named('call-request', 'a hash of 31 bytes', spliced(plain, 1, 3, [0x58, 0x1f])),
      named('receipt', 'cut', end.subarray(0, -1)),
      named('receipt', 'bytes after the end', concat(end, Uint8Array.of(0))),
    ],
  };
}
