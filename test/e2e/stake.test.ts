import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPeers, type Peer, type Peers } from '../../scripts/peers.ts';
import { eventually, LOOPBACK, must } from './support.ts';

let peers: Peers;
let host: Peer;
beforeAll(async () => {
  peers = await createPeers();
  host = await peers.add('host');
  await host.start(...LOOPBACK, '--network-search-ms', '0');
  await eventually('the guide is listed', async () => (await host.client.call('agents', {})).at(0));
});
afterAll(() => peers.clear());

describe('an operator at the command line', () => {
  it('sees what things cost, stakes, and is listed with what stands behind it (LEDGER-121, LEDGER-122)', async () => {
    expect(await must(host, 'fees')).toMatch(/^transaction +0 SAHARA, whatever it does\n/);
    expect(await must(host, 'stake', 'show')).toContain('Nothing at stake.');
    const bonded = await host.sahara(['stake', 'bond', '10', '--commission', '20']);
    expect(bonded.stderr).toContain('Transactions are free on this network.');
    expect(bonded.stdout).toMatch(/provider +10 SAHARA +0 SAHARA by 0 +20 % +-/);
    expect(await must(host, 'stake', 'unbond', '4')).toMatch(/provider +6 SAHARA .* 4 SAHARA at block \d+/);
    expect(await must(host, 'stake', 'release')).toContain('Nothing is due yet.');
    expect(await must(host, 'agents')).toMatch(/BOND.*\n.*6 SAHARA/);
    expect(await must(host, 'rewards')).toContain('Nothing earned out of fees.');
    expect(await must(host, 'ledger', 'transactions', '-n', '2')).toContain(
      '10 SAHARA behind the role provider',
    );
  });

  it('is told what is wrong with what it asks for', async () => {
    const wrong = async (...args: readonly string[]): Promise<string> => {
      const { code, stderr } = await host.sahara(['stake', ...args]);
      expect(code, stderr).not.toBe(0);
      return stderr;
    };
    expect(await wrong('bond', '1', '--role', 'king')).toContain('"king" is not a role');
    expect(await wrong('bond', '1', '--commission', '101')).toContain('no percentage');
    expect(await wrong('bond', 'much')).toContain('an amount in SAHARA');
    expect(await wrong('bond', '0.5', '--role', 'host')).toContain("below the network's minimum");
  });
});
