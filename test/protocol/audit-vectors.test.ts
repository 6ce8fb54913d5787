import { expect, it } from 'vitest';
import { fromHex } from '../../src/base/bytes.ts';
import { nativeSuite } from '../../src/protocol/suite-native.ts';
import { portableSuite } from '../../src/protocol/suite-portable.ts';
import { verifyAudit } from '../../src/protocol/verify-audit.ts';
import { vectors } from './vector-files.ts';

const { valid, invalid } = vectors('audit');
const bytes = (one: Readonly<Record<string, unknown>>): Uint8Array =>
  fromHex(String(one.hex)) ?? new Uint8Array(0);

it.each(valid.map((one) => [one.name, one] as const))('holds: %s (RCPT-60)', (_, one) => {
  for (const suite of [nativeSuite, portableSuite]) {
    const { ok, summary } = verifyAudit(suite, bytes(one));
    expect({ ok, network: summary?.network, height: summary?.height }).toEqual({
      ok: true,
      network: one.network,
      height: one.height,
    });
  }
});

it.each(invalid.map((one) => [one.name, one] as const))('does not hold: %s (RCPT-61)', (_, one) => {
  for (const suite of [nativeSuite, portableSuite]) {
    const { ok, steps } = verifyAudit(suite, bytes(one));
    expect(ok).toBe(false);
    expect(steps.find((step) => !step.ok)?.check).toBe(one.check);
  }
});
