import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import {
  AGENDA_ENTRIES_MAX,
  AGENDA_STEPS_MAX,
  COUNTER_MAX,
  GOSSIP_BODY_BYTES_MAX,
  LANES_MAX,
  VOUCHER_KEYS_MAX,
} from '../../src/ledger/limits.ts';
import { leavesNonce, RESULT_CODES, resultName, resultSentence } from '../../src/ledger/result-codes.ts';

const page = readFileSync(new URL('../../spec/ledger.md', import.meta.url), 'utf8');

test('LEDGER-6: the page lists exactly the codes that there are', () => {
  const listed = [...page.matchAll(/^\| (\d+) \| `([a-z-]+)` \| (.+) \|$/gm)].map(
    ([, code, name, meaning]) => [Number(code), name, meaning],
  );
  const known = Object.entries(RESULT_CODES).map(([name, { code, sentence }]) => [code, name, sentence]);
  expect(listed).toEqual(known);
  expect(new Set(known.map(([code]) => code)).size).toBe(known.length);
});

test('LEDGER-6: every code has its name and sentence, an unknown one says so', () => {
  for (const [name, { code, sentence }] of Object.entries(RESULT_CODES)) {
    expect(resultName(code)).toBe(name);
    expect(resultSentence(code)).toBe(sentence);
  }
  expect(resultName(9_999)).toBeUndefined();
  expect(resultSentence(9_999)).toContain('9999');
  expect([0, 1, 8, 16].map(leavesNonce)).toEqual([false, true, true, false]);
});

test('LEDGER-7: limits of consensus are those of the page', () => {
  const limit = (name: string): string | undefined =>
    page.match(new RegExp(`^\\| \`${name}\` \\| ([0-9,]+) \\|`, 'm'))?.[1]?.replaceAll(',', '');
  expect(limit('LANES_MAX')).toBe(String(LANES_MAX));
  expect(limit('AGENDA_STEPS_MAX')).toBe(String(AGENDA_STEPS_MAX));
  expect(limit('AGENDA_ENTRIES_MAX')).toBe(String(AGENDA_ENTRIES_MAX));
  expect(limit('VOUCHER_KEYS_MAX')).toBe(String(VOUCHER_KEYS_MAX));
  expect(limit('COUNTER_MAX')).toBe(String(COUNTER_MAX));
  expect(page).toContain(`at most ${GOSSIP_BODY_BYTES_MAX.toLocaleString('en')} bytes`);
});
