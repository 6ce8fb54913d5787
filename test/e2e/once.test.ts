import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPeers, type Peer, type Peers } from '../../scripts/peers.ts';
import { eventually, LOOPBACK, must, startPair } from './support.ts';

const QUESTION = 'How does a payee get paid if the payer disappears?';
const PRICE = 2_000_000n;

let peers: Peers;
let caller: Peer;
let host: Peer;
let address: string;
beforeAll(async () => {
  peers = await createPeers();
  host = await peers.add('host');
  caller = await peers.add('caller');
  address = await startPair(host, caller);
  await eventually('the caller has money', async () => ((await balance()) > 0n ? true : undefined));
});
afterAll(() => peers.clear());

async function balance(): Promise<bigint> {
  const [row] = await caller.client.call('ledger.accounts', {});
  return BigInt(row?.balance ?? '0');
}

/** The host again, on the port that the caller knows. */
async function restart(peer: Peer): Promise<void> {
  delete peer.environment.SAHARA_FAULTS;
  const port = /\/tcp\/(\d+)/.exec(address)?.[1] ?? '0';
  await peer.start(...LOOPBACK, ...(peer === host ? ['--mesh-port', port] : ['--bootstrap', address]));
}

async function ordered(peer: Peer, faults: string): Promise<void> {
  await peer.stop();
  peer.environment.SAHARA_FAULTS = faults;
  const port = /\/tcp\/(\d+)/.exec(address)?.[1] ?? '0';
  await peer.start(...LOOPBACK, ...(peer === host ? ['--mesh-port', port] : ['--bootstrap', address]));
  await eventually('the guide is listed', async () => (await caller.client.call('agents', {})).at(0));
}

describe('sahara ask --once', () => {
  let file: string;

  it('pays a cited answer by one transaction and no channel, and says before what that means (CALL-148)', async () => {
    file = join(caller.home.root, '..', 'once.bundle');
    const before = await balance();
    const asked = await caller.sahara(['ask', 'guide', QUESTION, '--once', '--receipt', file]);
    expect(asked.code, asked.stderr).toBe(0);
    expect(asked.stderr).toContain('not given back, also when nothing is found');
    expect(asked.stderr).toContain('Paying 0.002 SAHARA by one transaction');
    expect(asked.stdout).toMatch(/\[1\]/);
    expect(asked.stdout).toContain('paid 0.002 SAHARA');
    expect(asked.stdout).toMatch(/transaction [0-9a-f]+ in block \d+/);
    expect(await balance()).toBe(before - PRICE);
    expect(await caller.client.call('channel.list', {})).toEqual([]);
    const [row] = await caller.client.call('receipts', {});
    expect(row).toMatchObject({ settled: true, amount: String(PRICE) });
    const { assets } = await host.client.call('earnings', {});
    expect(assets.find(({ name }) => name === 'guide')?.received).toBe(String(PRICE));
  });

  it('is refused before anything is paid where it cannot be (CALL-142)', async () => {
    const before = await balance();
    const refused = async (...args: readonly string[]): Promise<string> => {
      const { code, stderr } = await caller.sahara(['ask', 'guide', QUESTION, '--once', ...args]);
      expect(code, stderr).not.toBe(0);
      return stderr;
    };
    expect(await refused('--race')).toContain('takes a channel');
    expect(await refused('--budget', '1')).toContain('takes a channel');
    expect(await refused('--offers')).toContain('takes a channel');
    expect(await refused('--skill', 'dance')).toContain('skill');
    expect(await refused('--max-price', '0.0001')).toContain('cost more than you allow');
    const own = await host.sahara(['ask', 'guide', QUESTION, '--once']);
    expect(own.stderr).toContain('your own and costs nothing');
    expect(await balance()).toBe(before);
  });

  it('is answered although its host dies between payment and answer, and paid once (CALL-145, CALL-147)', async () => {
    // The first opening asks for the price, the second has the payment.
    await ordered(host, 'host:opening=2:kill');
    const before = await balance();
    const asking = caller.sahara(['ask', 'guide', QUESTION, '--once']);
    await host.ended;
    await restart(host);
    const asked = await asking;
    expect(asked.code, asked.stderr).toBe(0);
    expect(asked.stdout).toContain('paid 0.002 SAHARA');
    expect(await balance()).toBe(before - PRICE);
  });

  it('is told again when the host dies with the answer kept and the ending not sent (CALL-145, CALL-146)', async () => {
    await ordered(host, 'once:used=kill');
    const before = await balance();
    const asking = caller.sahara(['ask', 'guide', 'What is a voucher?', '--once']);
    await host.ended;
    await restart(host);
    const asked = await asking;
    // It may have been told a part of the answer already, and is then gone on with by hand.
    const whole = asked.code === 0 ? asked : await caller.sahara(['resume']);
    expect(whole.code === 0 || whole.stderr.includes('call'), whole.stderr).toBe(true);
    const rows = await eventually('its receipt is there', async () => {
      const found = await caller.client.call('receipts', {});
      return found.find(({ question }) => question === 'What is a voucher?');
    });
    expect(rows).toMatchObject({ settled: true, amount: String(PRICE) });
    expect(await balance()).toBe(before - PRICE);
  });

  it('is answered although its caller dies with the payment in a block, and paid once (CALL-147, PAY-77)', async () => {
    await ordered(caller, 'once:paid=kill');
    const before = await balance();
    const cut = await caller.sahara(['ask', 'guide', 'What is a claim?', '--once']);
    expect(cut.code).not.toBe(0);
    await caller.ended;
    await restart(caller);
    await eventually('its receipt is there', async () => {
      const found = await caller.client.call('receipts', {});
      return found.find(({ question }) => question === 'What is a claim?');
    });
    expect(await balance()).toBe(before - PRICE);
  });

  it('is refused with too little money, before anything is signed (PAY-78)', async () => {
    const { did } = await host.client.call('status', {});
    await must(caller, 'pay', did, String(Number((await balance()) - 1_000n) / 1e9));
    const poor = await caller.sahara(['ask', 'guide', QUESTION, '--once']);
    expect(poor.code).not.toBe(0);
    expect(poor.stderr).toContain('There is not enough money');
    const deposit = await caller.sahara(['ask', 'guide', QUESTION]);
    expect(deposit.stderr).toContain('--once');
    expect((await caller.client.call('receipts', {})).length).toBe(4);
  });

  it('has evidence that holds with every daemon stopped, and says how it was paid (RCPT-33, RCPT-72)', async () => {
    const [row] = await caller.client.call('receipts', { limit: 10 });
    const audit = join(caller.home.root, '..', 'once.audit');
    await must(caller, 'audit', row?.callId ?? '', '--out', audit);
    await caller.stop();
    await host.stop();
    const verified = await must(caller, 'verify', file);
    expect(verified).toContain('Proved');
    expect(verified).toMatch(/paid by one transaction in block \d+/);
    expect(await must(caller, 'explain', file)).toContain('paid before it by one transaction');
    expect(await must(caller, 'bill', file)).toContain('0.002');
    const proved = await must(caller, 'verify', audit);
    expect(proved).toMatch(/The payment in block \d+ is for this call alone/);
    const found = JSON.parse(await must(caller, 'verify', file, '--json'));
    expect(found).toMatchObject({ ok: true });
  });
});
