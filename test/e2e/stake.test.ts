import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPeers, type Peer, type Peers } from '../../scripts/peers.ts';
import { openKeys } from '../../src/daemon/keys.ts';
import { twoHeaders } from '../../src/protocol/actions-stake.ts';
import { header } from '../ledger/stake-support.ts';
import { askWhole, eventually, LOOPBACK, must } from './support.ts';

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

describe('the ledger of a daemon that runs', () => {
  it('is pruned between its blocks (LEDGER-151)', async () => {
    const { height } = await host.client.call('ledger.status', {});
    expect(height).toBeGreaterThan(2);
    expect(await must(host, 'ledger', 'prune', '--keep', '1')).toMatch(/^Dropped \d+ blocks? of local-/);
    const { stderr } = await host.sahara(['ledger', 'block', '1']);
    expect(stderr).toContain('There is no block 1 here');
    await must(host, 'stake', 'bond', '1');
    expect(await must(host, 'ledger', 'verify')).toContain('Sound');
  });
});

describe('a network with a fee', () => {
  const EPOCH = 12;
  let provider: Peer;
  let caller: Peer;
  beforeAll(async () => {
    [provider, caller] = [await peers.add('provider'), await peers.add('fee-caller')];
    const rules = ['--network-transaction-fee', '0.01', '--network-epoch-blocks', String(EPOCH)];
    const { addresses } = await provider.start(...LOOPBACK, '--network-search-ms', '0', ...rules);
    await caller.start(...LOOPBACK, '--bootstrap', addresses[0] ?? '');
    await eventually('the guide is listed', async () => (await caller.client.call('agents', {})).at(0));
  });

  const head = async (): Promise<number> => (await provider.client.call('ledger.status', {})).height;

  it('says the fee before anything is sent, and whose the money is (LEDGER-128)', async () => {
    expect(await must(caller, 'fees')).toMatch(/^transaction +0\.01 SAHARA, whatever it does\n/);
    const { did } = await caller.client.call('status', {});
    const poor = await caller.sahara(['stake', 'bond', '1']);
    expect(poor.stderr).toContain('Fee: 0.01 SAHARA.');
    expect(poor.stderr).toContain('The sender cannot pay the fee.');
    const paid = await provider.sahara(['pay', did, '20', '--new']);
    expect(paid.stderr).toContain('Fee: 0.01 SAHARA.');
    expect(paid.code, paid.stderr).toBe(0);
    await eventually('the money is there', async () =>
      (await caller.client.call('ledger.accounts', {}))[0]?.balance === '20000000000' ? true : undefined,
    );
  });

  it('shares fees with a provider that stands behind its answers, and says because of what (LEDGER-129, LEDGER-130, LEDGER-132)', async () => {
    const bonded = await provider.sahara(['stake', 'bond', '10', '--commission', '20']);
    expect(bonded.stderr).toContain('Fee: 0.01 SAHARA.');
    await askWhole(caller, { agent: 'guide', question: 'What is a voucher?' });
    await must(provider, 'channel', 'claim');
    const claimed = (await provider.client.call('rewards', {})).rewards[0]?.epoch ?? -1;
    expect(await must(provider, 'rewards')).toMatch(
      /because of\n {2}0\.002 SAHARA on channel [0-9a-f]+.* lane \d+: 1 receipt/,
    );
    const to = (await caller.client.call('status', {})).did;
    while (Math.floor((await head()) / EPOCH) <= claimed) await must(provider, 'pay', to, '0.001');
    const [due] = (await provider.client.call('rewards', {})).rewards;
    expect(due).toMatchObject({ epoch: claimed, state: 'due', settled: '2000000', contributed: '5000000' });
    const collected = await provider.sahara(['rewards', '--collect']);
    expect(collected.stderr).toContain('Fee: 0.01 SAHARA.');
    expect(collected.stdout).toBe(`Epoch ${claimed}: 0.005 SAHARA.\n`);
    expect(await must(provider, 'rewards')).toContain('0.005 SAHARA paid');
    expect(await must(provider, 'rewards', '--collect')).toBe('Nothing is due.\n');
  });

  it('makes who signed two blocks of one height pay, whoever brings them (LEDGER-127)', async () => {
    await must(provider, 'stake', 'bond', '4', '--role', 'validator');
    const { network } = await provider.client.call('ledger.status', {});
    const { operator } = await openKeys(provider.home.keys, undefined);
    const two = [1, 2].map((timeMs) => header(network, operator, 3, { timeMs }));
    const [first = expect.fail('a header'), second = expect.fail('another')] = two;
    const file = join(caller.home.root, 'two.evidence');
    await writeFile(file, 'nothing of the kind');
    const wrong = await caller.sahara(['stake', 'report-double-signing', file]);
    expect(wrong.stderr).toContain('does not hold two signed headers');
    expect((await caller.sahara(['stake', 'report-double-signing', `${file}.gone`])).stderr).toContain(
      '(file-missing)',
    );
    expect((await caller.sahara(['ledger', 'evidence', `${file}.none`])).stderr).toContain(
      'knows of no two headers',
    );
    await writeFile(file, twoHeaders.encode({ first, second }));
    const brought = await caller.sahara(['stake', 'report-double-signing', file]);
    expect(brought.stderr).toContain('Fee: 0.01 SAHARA.');
    expect(brought.stdout).toContain('Proved: it cost 2 SAHARA of what stood behind who signed both.');
    expect(await must(provider, 'stake', 'show')).toMatch(/validator +2 SAHARA/);
    const again = await caller.sahara(['stake', 'report-double-signing', file]);
    expect(again.code).not.toBe(0);
  });
});
