import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { fromHex, toHex } from '../../src/base/bytes.ts';
import { identityKey } from '../../src/ledger/identities.ts';
import { RESULT_CODES, type ResultName } from '../../src/ledger/result-codes.ts';
import { genesis } from '../../src/protocol/block.ts';
import { signed } from '../../src/protocol/signing.ts';
import { Bench } from './support.ts';

interface Told {
  readonly genesis: string;
  readonly network: string;
  readonly dids: readonly string[];
  readonly steps: readonly {
    readonly name: string;
    readonly height: number;
    readonly transaction: string | null;
    readonly code: number;
    readonly records: readonly (string | null)[];
  }[];
}

function bytes(hex: string): Uint8Array {
  const read = fromHex(hex);
  if (read === undefined) throw new Error(`not hexadecimal: ${hex}`);
  return read;
}

// The file's shape is what its maker writes.
const told = JSON.parse(
  readFileSync(new URL('../../spec/vectors/ledger/identities.json', import.meta.url), 'utf8'),
) as Told;

test('LEDGER-70 to LEDGER-77: recorded transactions on keys give the recorded codes and records', async () => {
  const bench = await Bench.create(genesis.decode(bytes(told.genesis)));
  expect(bench.network).toBe(told.network);
  for (const { name, height, transaction, code, records } of told.steps) {
    const messages = transaction === null ? [] : [signed.decode(bytes(transaction))];
    const [result] = await bench.block(messages);
    // Names of results are the keys of the table.
    expect(RESULT_CODES[(result?.name ?? 'ok') as ResultName].code, name).toBe(code);
    expect(bench.chain.head().height).toBe(height);
    const held = told.dids.map((did) => bench.chain.readState(identityKey(bytes(did))));
    expect(
      held.map((record) => (record === undefined ? null : toHex(record))),
      name,
    ).toEqual(records);
  }
});

test('LEDGER-6: they give every code of identities but that of too many rotations', () => {
  const given = new Set(told.steps.map(({ code }) => code));
  const codes = Object.values(RESULT_CODES).flatMap(({ code }) => (code >= 96 && code < 112 ? [code] : []));
  expect(codes.filter((code) => !given.has(code))).toEqual([RESULT_CODES['rotations-too-many'].code]);
});
