/**
 * Wall clocks that jump by hours under running daemons, forth and back: calls go on or say why they do not, no amount
 * changes, and nothing stays behind when the clock is right again.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { agreed, expectSettled } from './settled.ts';
import { tellMe } from './teller.ts';
import { type Asked, type Role, startTown, type Town } from './town.ts';

let town: Town;
let payee = '';
beforeAll(async () => {
  town = await startTown();
  payee = (await town.of.host.client.call('status', {})).did;
});
afterAll(() => town?.stop());

/** What a call across clocks that disagree may fail with: the reason itself, or its consequence for the listing. */
const REASONS: ReadonlySet<string | undefined> = new Set([
  undefined,
  'expired',
  'not-yet-valid',
  'certificate-invalid',
  'agent-unknown',
  'peer-unreachable',
]);

const jump = (role: Role, hours: number): Promise<void> => town.order(role, `now=clock:${hours * 3_600_000}`);

describe.each<readonly [Role, number]>([
  ['caller', 3],
  ['caller', -3],
  ['host', 3],
  ['host', -3],
  ['ledger', 5],
  ['ledger', -5],
])('the clock of the %s jumps by %i hours', (role, hours) => {
  it('and back: calls go on or say why, and no money is lost or made', async () => {
    const before = await agreed(town, 'before');
    await jump(role, hours);
    const during: Asked[] = [];
    try {
      for (let i = 0; i < 3; i++) during.push(await town.ask('guide', `What is a voucher, ${i}?`));
      during.push(await town.ask('teller', tellMe(20, 1)));
      // The ledger goes on as well: its time never runs backwards.
      await town.of.caller.client.call('channel.open', { payee, deposit: '1000000000' });
    } finally {
      await jump(role, -hours);
    }
    const codes = during.map(({ code }) => code);
    expect(codes.filter((code) => !REASONS.has(code))).toEqual([]);
    const paid = during.reduce((sum, { amount }) => sum + (amount ?? 0n), 0n);
    await expectSettled(town, `${role} ${hours} h`);
    expect(await agreed(town, 'after')).toBeGreaterThanOrEqual(before + paid);
    console.log(`${role} ${hours} h: ${codes.map((code) => code ?? 'answered').join(', ')}`);
  });
});
