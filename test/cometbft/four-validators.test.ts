import { afterEach, expect, test } from 'vitest';
import { concat, toHex } from '../../src/base/bytes.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { openChain } from '../../src/ledger/chain.ts';
import type { CometLedgerOptions } from '../../src/ledger/engines/comet/ledger.ts';
import { fetchConsensusBlock } from '../../src/ledger/engines/comet/light/json.ts';
import { STATE } from '../../src/ledger/layout.ts';
import { ACCOUNTS, stateKey } from '../../src/ledger/records.ts';
import { consensusHash } from '../../src/protocol/consensus-bytes.ts';
import { bob, START, suite } from '../ledger/support.ts';
import { until } from '../mesh/support.ts';
import { Net } from './net.ts';
import { places, testFolder, testNetwork } from './support.ts';

let net: Net | undefined;
let remove: (() => Promise<void>) | undefined;
afterEach(async () => {
  await Promise.all([...(net?.nodes.values() ?? [])].map((node) => node.stop()));
  await remove?.();
  net = undefined;
});

async function prepare(extra = 0): Promise<Net> {
  const folder = await testFolder();
  remove = folder.remove;
  net = new Net(testNetwork(4), await places(4 + extra), folder.path);
  return net;
}

async function four(options: Partial<CometLedgerOptions> = {}, extra = 0): Promise<Net> {
  const made = await prepare(extra);
  for (let i = 0; i < 4; i++) await made.start(i, { options });
  return made;
}

test('ENG-10: four validators agree; one is killed and comes back; what it missed it executes', async () => {
  const made = await four();
  await Promise.all([0, 1, 2, 3].map((by) => made.pay(by)));
  await made.level(1);
  process.kill(made.at(3).comet.pid() ?? 0, 'SIGKILL');
  await made.stop(3);
  const { height } = made.at(0).ledger.head();
  for (let i = 0; i < 3; i++) await made.pay(i);
  await made.level(height + 3);
  await made.start(3);
  await made.level(height + 3);
  await made.pay(3);
  await made.level(height + 4);
  expect(await made.at(3).ledger.verify()).toMatchObject({ faults: [] });
});

test('ENG-10: with two of four away nothing is decided, and with one of them back it goes on', async () => {
  const made = await four();
  await made.pay(0);
  await made.level(1);
  await made.stop(2);
  await made.stop(3);
  const { height, headerHash } = made.at(0).ledger.head();
  const late = made.transfer();
  await expect(made.at(0).ledger.submit(late, { signal: AbortSignal.timeout(3_000) })).rejects.toMatchObject({
    code: 'cancelled',
  });
  for (const number of [0, 1]) expect(made.at(number).ledger.head()).toMatchObject({ height, headerHash });
  await made.start(2);
  await made.at(0).ledger.submit(late, { signal: AbortSignal.timeout(60_000) });
  await made.start(3);
  await made.level(height + 1);
});

test('a validator with another state is left behind, says so, and holds nobody up', async () => {
  const made = await prepare();
  const store = createMemoryStore();
  await openChain({ suite, store }, made.network.genesis);
  const key = concat(STATE, stateKey(ACCOUNTS, bob.publicKey));
  const value = ACCOUNTS.schema.encode({ balance: START + 1n, nonce: 0, drawn: 0n });
  await store.batch([{ type: 'put', key, value }]);
  made.stores.set(3, store);
  for (let i = 0; i < 4; i++) await made.start(i);
  for (let i = 0; i < 3; i++) await made.pay(i);
  await until(() =>
    made
      .at(3)
      .comet.lastLines()
      .some((line) => /AppHash/i.test(line)),
  );
  const behind = made.at(3).ledger.head().height;
  await made.pay(0);
  expect(made.at(0).ledger.head().height).toBeGreaterThan(behind);
  await made.stop(3);
  await made.level(4);
});

test('ENG-40: a fifth node joins by state sync, another by executing everything, and both have the root of all', async () => {
  const made = await four({ snapshotEveryBlocks: 4 }, 2);
  for (let i = 0; i < 7; i++) await made.pay(i % 4);
  await made.level(7);
  const { signal } = new AbortController();
  const snapshots = (): boolean => made.at(0).ledger.head().height >= 7;
  await until(snapshots);
  const { header } = await fetchConsensusBlock(made.at(0).rpc, 2, { signal });
  const rpc = made.all.slice(0, 2).map(({ host, rpc: port }) => `http://${host}:${port}`);
  const hash = toHex(consensusHash(suite, made.at(0).ledger.network, header)).toUpperCase();
  await made.start(4, { files: { stateSync: { rpc, height: 2, hash } } });
  await made.start(5);
  await made.level(7);
  expect(made.at(4).ledger.base).toBe(4);
  expect(made.at(5).ledger.base).toBe(0);
  await made.pay(4);
  await made.pay(5);
  await made.level(9);
  for (const number of [4, 5]) expect(await made.at(number).ledger.verify()).toMatchObject({ faults: [] });
});

test('a partition heals: nothing is decided by either half, and afterwards all have the same', async () => {
  const made = await four();
  await made.pay(0);
  await made.level(1);
  const away = [2, 3].map((number) => made.at(number).comet.pid() ?? 0);
  for (const pid of away) process.kill(pid, 'SIGSTOP');
  try {
    const { height, headerHash } = made.at(0).ledger.head();
    const late = made.transfer();
    const waiting = made.at(0).ledger.submit(late, { signal: AbortSignal.timeout(3_000) });
    await expect(waiting).rejects.toMatchObject({ code: 'cancelled' });
    for (const { ledger } of made.nodes.values()) expect(ledger.head()).toMatchObject({ height, headerHash });
    for (const pid of away) process.kill(pid, 'SIGCONT');
    await made.at(0).ledger.submit(late, { signal: AbortSignal.timeout(120_000) });
    await made.level(height + 1);
  } finally {
    for (const pid of away) process.kill(pid, 'SIGCONT');
  }
});
