/** What has to hold once the dust has settled, whatever happened and wherever. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { bundle } from '../../src/protocol/bundle.ts';
import { receipt as receiptSchema } from '../../src/protocol/payment.ts';
import { nativeSuite } from '../../src/protocol/suite-native.ts';
import { verifyBundle } from '../../src/protocol/verify-bundle.ts';
import { type Asked, eventually, GUIDE_PRICE, TELLER_PRICE, type Town } from './town.ts';

/** Most that a call of the teller can cost here: what it tells is never longer than this. */
const TELLER_UNITS_MAX = 2_000n;

/** What failing looks like to somebody who has to read it: any code of the list but a defect. */
function isClear(code: string | undefined): boolean {
  return code !== undefined && code !== 'internal';
}

/**
 * Waits until the town works again, then checks: both sides of every channel say the same, every answer that came is
 * charged once, every one that did not come costs at most itself and has a clear reason, all evidence proves itself,
 * and the ledgers are sound and the same.
 */
export async function expectSettled(town: Town, label: string): Promise<void> {
  await eventually(`${label}: the guide answers again`, async () => {
    const { amount } = await town.ask('guide', 'What is a grain?');
    return amount;
  });
  const charged = await agreed(town, label);
  expectCharges(town.asked, charged, label);
  await expectProofs(town, label);
  await expectLedgers(town, label);
}

/** Grains charged on all channels from caller to host, once both sides say the same and nothing is held. */
export async function agreed(town: Town, label: string): Promise<bigint> {
  const { caller, host } = town.of;
  let last = '';
  return eventually(`${label}: both sides agree on what was charged`, async () => {
    const rows = async (role: 'payer' | 'payee'): Promise<string> => {
      const all = await (role === 'payer' ? caller : host).client.call('channel.list', {});
      const own = all.filter((row) => row.role === role && (row.calls > 0 || row.charged !== '0'));
      return own
        .map(({ id, charged, calls }) => `${id} ${charged} ${calls}`)
        .sort()
        .join('\n');
    };
    const [mine, theirs] = [await rows('payer'), await rows('payee')];
    const findings = await caller.client.call('doctor', {});
    const payments = findings.find(({ name }) => name === 'payments')?.found ?? '';
    last = `payer ${mine} payee ${theirs} ${payments}`;
    if (mine !== theirs || mine === '' || !payments.startsWith('0 SAHARA')) return undefined;
    return mine.split('\n').reduce((sum, row) => sum + BigInt(row.split(' ')[1] ?? '0'), 0n);
  }).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${last}`);
  });
}

/** Every answer that came is charged once; what did not come costs at most one answer, and its reason is clear. */
function expectCharges(asked: readonly Asked[], charged: bigint, label: string): void {
  const most = ({ agent, amount }: Asked): bigint => {
    if (amount !== undefined) return amount;
    return agent === 'guide'
      ? GUIDE_PRICE
      : TELLER_PRICE.perCall + TELLER_PRICE.perOutputUnit * TELLER_UNITS_MAX;
  };
  const least = asked.reduce((sum, { amount }) => sum + (amount ?? 0n), 0n);
  expect(charged, `${label}: all that came is paid`).toBeGreaterThanOrEqual(least);
  expect(charged, `${label}: nothing is paid twice`).toBeLessThanOrEqual(
    asked.reduce((sum, ended) => sum + most(ended), 0n),
  );
  const unclear = asked.filter(({ amount, code }) => amount === undefined && !isClear(code));
  expect(unclear, `${label}: whoever got no answer knows why`).toEqual([]);
}

const proven = new Set<string>();

/** Every bundle proves itself, and says what the caller was told. */
async function expectProofs(town: Town, label: string): Promise<void> {
  const ids = new Set<string>();
  for (const { path, amount } of town.asked) {
    if (path === undefined || proven.has(path)) continue;
    const file = new Uint8Array(await readFile(path));
    const verdict = verifyBundle(nativeSuite, file);
    expect(verdict.ok, `${label}: ${JSON.stringify(verdict.steps.at(-1))}`).toBe(true);
    const { callId, amount: signed } = receiptSchema.decode(bundle.decode(file).ending.receipt.payload);
    expect(signed, label).toBe(amount);
    ids.add(Buffer.from(callId).toString('hex'));
    proven.add(path);
  }
  // What was begun is there whole, or not at all.
  for (const row of await town.of.caller.client.call('receipts', { limit: 1000 }))
    expect(row.callId).toMatch(/^[0-9a-f]{32}$/);
}

/**
 * Every payment of a single call on the ledger has its answer, each one its own; answers what all of them came to, in
 * grains. Calls that were cut are asked again without anybody's doing.
 */
export async function expectPaidOnce(town: Town, label: string): Promise<bigint> {
  const { caller, host } = town.of;
  const payments = async (): Promise<readonly string[]> => {
    const rows = await host.client.call('ledger.transactions', { limit: 256 });
    return rows.filter(({ type, code }) => type === 'pay' && code === 0).map(({ id }) => id);
  };
  const answers = async (): Promise<readonly string[]> => {
    const ids: string[] = [];
    for (const name of await readdir(caller.home.receipts)) {
      if (!name.endsWith('.bundle')) continue;
      const { summary } = verifyBundle(
        nativeSuite,
        new Uint8Array(await readFile(join(caller.home.receipts, name))),
      );
      if (summary?.settlement?.by === 'payment') ids.push(summary.settlement.transaction);
    }
    return ids;
  };
  const paid = await eventually(`${label}: every payment has its answer`, async () => {
    const [sent, answered] = [await payments(), await answers()];
    expect(new Set(answered).size, `${label}: one payment, one answer`).toBe(answered.length);
    return sent.every((id) => answered.includes(id)) ? answered : undefined;
  });
  return GUIDE_PRICE * BigInt(paid.length);
}

/** All peers hold the same sound ledger. */
export async function expectLedgers(town: Town, label: string): Promise<void> {
  const peers = Object.values(town.of);
  const { height } = await town.of.ledger.client.call('ledger.status', {});
  for (const peer of peers) {
    await eventually(`${label}: ${peer.name} follows`, async () =>
      (await peer.client.call('ledger.status', {})).height >= height ? true : undefined,
    );
    // Who only calls has no blocks to replay.
    if ((await peer.client.call('ledger.status', {})).role === 'light') continue;
    expect(await peer.client.call('ledger.verify', {}), `${label}: ${peer.name}`).toMatchObject({
      sound: true,
    });
  }
  await eventually(`${label}: one state`, async () => {
    const roots = await Promise.all(peers.map((peer) => peer.client.call('ledger.status', {})));
    return new Set(roots.map(({ stateRoot }) => stateRoot)).size === 1 ? true : undefined;
  });
}
