import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPeers, type Peer, type Peers } from '../../scripts/peers.ts';
import { eventually, LOOPBACK, must, startPair } from './support.ts';

let peers: Peers;
let payer: Peer;
let payee: Peer;
let did: string;
let address: string;
beforeAll(async () => {
  peers = await createPeers();
  payee = await peers.add('payee');
  payer = await peers.add('payer');
  address = await startPair(payee, payer);
  did = (await payee.client.call('status', {})).did;
  await eventually('the payer has money', async () => {
    const [row] = await payer.client.call('ledger.accounts', {});
    return row === undefined || row.balance === '0' ? undefined : row;
  });
});
afterAll(() => peers.clear());

const GRAINS = 1_000_000_000n;

async function balanceOf(peer: Peer): Promise<bigint> {
  const [row] = await peer.client.call('ledger.accounts', {});
  return BigInt(row?.balance ?? '0');
}

describe('sahara pay', () => {
  it('pays from a light home, and says what it costs and where the ledger has it', async () => {
    const before = await balanceOf(payee);
    const { code, stdout, stderr } = await payer.sahara(['pay', did, '2.5', '--memo', 'for the dataset']);
    expect(code, stderr).toBe(0);
    expect(stderr).toContain('Paying 2.5 SAHARA to ');
    expect(stderr).toContain('Transactions are free on this network.');
    expect(stdout).toContain(`Paid 2.5 SAHARA to ${did}.`);
    expect(stdout).toMatch(/block +\d+, transaction 1 of 1, 20/);
    expect(await balanceOf(payee)).toBe(before + (GRAINS * 5n) / 2n);
    const [, id = ''] = /transaction +([0-9a-f]{64})/.exec(stdout) ?? [];
    expect(await must(payee, 'ledger', 'transaction', id)).toContain('2.5 SAHARA');
  });

  it('pays once although the daemon is killed before it sends, and tells it again (LEDGER-61)', async () => {
    const before = await balanceOf(payee);
    const reference = '5a'.repeat(16);
    const order = ['pay', did, '1', '--reference', reference];
    await payer.stop();
    payer.environment.SAHARA_FAULTS = 'wallet:kept=kill';
    await payer.start(...LOOPBACK, '--bootstrap', address);
    const cut = await payer.sahara(order);
    expect(cut.code).not.toBe(0);
    expect(cut.stderr).toContain(`--reference ${reference}`);
    await payer.ended;
    expect(await balanceOf(payee)).toBe(before);
    delete payer.environment.SAHARA_FAULTS;
    await payer.start(...LOOPBACK, '--bootstrap', address);
    expect(await must(payer, ...order)).toContain('Was paid before');
    expect(await must(payer, ...order)).toContain('nothing was paid now');
    expect(await balanceOf(payee)).toBe(before + GRAINS);
    const other = await payer.sahara(['pay', did, '2', '--reference', reference]);
    expect(other.code).toBe(2);
    expect(other.stderr).toContain('already that of another payment');
  });

  it('says what is wrong with what it is asked for', async () => {
    const wrong = async (...args: readonly string[]): Promise<string> => {
      const { code, stderr } = await payer.sahara(['pay', ...args]);
      expect(code, stderr).not.toBe(0);
      return stderr;
    };
    expect(await wrong(did, 'much')).toContain('an amount in SAHARA');
    expect(await wrong('guide', '1')).toContain('is not a DID');
    expect(await wrong(did, '1', '--reference', 'xy')).toContain('32 hexadecimal digits');
    expect(await wrong(did, '100000')).toContain('less than the amount');
    const stranger = 'did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK';
    expect(await wrong(stranger, '1')).toContain('say --new');
  });

  it('pays once although the daemon is killed when a block has it and nobody was told (LEDGER-41)', async () => {
    const to = (await payer.client.call('status', {})).did;
    const before = await balanceOf(payer);
    const order = ['pay', to, '3', '--reference', '6b'.repeat(16)];
    await payee.stop();
    // The payee of the others makes the blocks: now it pays.
    payee.environment.SAHARA_FAULTS = 'ledger:committed=kill';
    await payee.start(...LOOPBACK);
    const cut = await payee.sahara(order);
    expect(cut.code).not.toBe(0);
    await payee.ended;
    delete payee.environment.SAHARA_FAULTS;
    await payee.start(...LOOPBACK);
    expect(await must(payee, ...order)).toContain('nothing was paid now');
    const rows = await payee.client.call('ledger.accounts', { did: to });
    expect(rows.map(({ balance }) => BigInt(balance))).toEqual([before + 3n * GRAINS]);
  });
});
