import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tellMe } from '../faults/teller.ts';
import { startTown, type Town } from '../faults/town.ts';
import { eventually, must } from './support.ts';

let town: Town;
let channel: string;
beforeAll(async () => {
  town = await startTown({
    prepare: async (_, peer) => {
      peer.environment.SAHARA_PASSPHRASE = 'a passphrase of this test';
    },
  });
  const row = (await town.of.caller.client.call('channel.list', {})).find(({ role }) => role === 'payer');
  channel = row?.id ?? expect.fail('a channel');
}, 300_000);
afterAll(() => town?.stop());

const keyNow = () => town.of.caller.client.call('channel.voucherKey', { channel });

/** Asks the guide and verifies what was kept of it with the verifier alone. */
async function asked(): Promise<{ readonly path: string; readonly told: string }> {
  const { path, code } = await town.ask('guide', 'What is a voucher?');
  if (path === undefined) throw new Error(`the guide did not answer: ${code}`);
  return { path, told: await must(town.of.caller, 'verify', path, '--json') };
}

describe('the voucher key of a channel', () => {
  it('is given by a command, signs vouchers, and is proved in the evidence (PAY-70, RCPT-70)', async () => {
    expect((await asked()).told).toContain('voucher signed by the payer');
    const { caller } = town.of;
    expect(await must(caller, 'channel', 'voucher-key', channel)).toContain('has no voucher key');
    expect(await must(caller, 'channel', 'voucher-key', channel, 'set')).toContain('has the voucher key');
    expect(await keyNow()).toMatchObject({ signs: true, former: [] });
    expect((await asked()).told).toContain('voucher signed by the key that the ledger has for it');
    const again = await caller.sahara(['channel', 'voucher-key', channel, 'set']);
    expect(again.stderr).toContain('rotate');
    expect(again.code).toBe(2);
  });

  it('is replaced while answers are paid for word by word, and no call is lost (PAY-71, PAY-72)', async () => {
    let pieces = 0;
    const streaming = Promise.withResolvers<void>();
    const onText = (): void => {
      if (++pieces === 60) streaming.resolve();
    };
    const calls = Array.from({ length: 3 }, (_, i) =>
      town.ask('teller', tellMe(150, 25, `dune ${i}`), { onText }),
    );
    await Promise.race([streaming.promise, Promise.all(calls)]);
    const first = (await keyNow()).key;
    for (let i = 0; i < 2; i++) {
      await must(town.of.caller, 'channel', 'voucher-key', channel, 'rotate');
      expect((await town.ask('guide', `What is key ${i}?`)).code).toBeUndefined();
    }
    const now = await keyNow();
    expect(now.signs).toBe(true);
    expect(now.key).not.toBe(first);
    expect(now.former.map(({ key }) => key)).toContain(first);
    for (const { code, text, path } of await Promise.all(calls)) {
      expect(code).toBeUndefined();
      expect(text).toContain('Sentence 150 ');
      await must(town.of.caller, 'verify', path ?? '');
    }
  });

  it('is kept like every key, encrypted, and only the one that signs is kept (PAY-74)', async () => {
    const folder = town.of.caller.home.keys;
    const files = (await readdir(folder)).filter((name) => name.startsWith('voucher.'));
    expect(files).toHaveLength(1);
    const listed = JSON.parse(await must(town.of.caller, 'channel', 'voucher-key', channel, '--json'));
    expect(listed.signs).toBe(true);
  });

  it('still signs after a restart', async () => {
    await town.of.caller.kill();
    await town.start('caller');
    await eventually('the guide answers', async () => (await town.ask('guide', 'Who signs?')).path);
    await eventually('its key signs again', async () =>
      (await asked()).told.includes('the key that the ledger has') ? true : undefined,
    );
  });

  it('has its calls claimed, and all of it verifies with every daemon stopped (RCPT-68, PAY-73)', async () => {
    const { caller, host } = town.of;
    const { path } = await asked();
    const callId = /([0-9a-f]{32})\.bundle$/.exec(path)?.[1] ?? '';
    await must(host, 'channel', 'claim');
    const settled = join(caller.home.root, 'settled.bundle');
    await eventually('the settlement is known', async () => {
      await must(caller, 'bundle', callId, settled);
      return (await must(caller, 'verify', settled)).includes('settled in block') ? true : undefined;
    });
    const audit = join(caller.home.root, 'call.audit');
    await must(caller, 'audit', callId, '--out', audit);
    await must(caller, 'channel', 'voucher-key', channel, 'revoke');
    await town.peers.stop();
    expect(await must(caller, 'verify', settled)).toMatch(/Proved: .* settled in block \d+/);
    expect(await must(caller, 'verify', audit)).toContain('checks of its evidence hold');
    for (const role of ['ledger', 'host', 'caller'] as const) await town.start(role);
  });

  it('is revoked: the account’s own key signs, and the secret is gone (PAY-70)', async () => {
    await eventually('the guide answers', async () => (await town.ask('guide', 'Who signs now?')).path);
    expect((await asked()).told).toContain('voucher signed by the payer');
    const now = await keyNow();
    expect(now.key).toBeUndefined();
    expect(now.signs).toBe(false);
    expect((await readdir(town.of.caller.home.keys)).filter((name) => name.startsWith('voucher.'))).toEqual(
      [],
    );
    const again = await town.of.caller.sahara(['channel', 'voucher-key', channel, 'revoke']);
    expect(again.stderr).toContain('no voucher key');
    await must(town.of.host, 'channel', 'claim');
    const [row] = (await town.of.host.client.call('channel.list', {})).filter(({ role }) => role === 'payee');
    expect(row?.claimed).toBe(row?.charged);
  });
});
