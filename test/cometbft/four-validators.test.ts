import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { createMemoryStore, type Store } from '../../src/base/store.ts';
import type { CometLedgerOptions, CometNetwork } from '../../src/ledger/engines/comet/ledger.ts';
import type { Signed } from '../../src/protocol/signing.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import type { Action } from '../../src/protocol/transaction.ts';
import { alice, bob, signAction } from '../ledger/support.ts';
import { until } from '../mesh/support.ts';
import {
  type NodeSetup,
  type Place,
  places,
  startNode,
  type TestNode,
  testFolder,
  testNetwork,
} from './support.ts';

/** Several nodes that one test starts, ends and starts again. */
class Net {
  readonly network: CometNetwork;
  readonly all: readonly Place[];
  readonly folder: string;
  readonly nodes = new Map<number, TestNode>();
  readonly #stores = new Map<number, Store>();
  #nonce = 0;

  constructor(network: CometNetwork, all: readonly Place[], folder: string) {
    this.network = network;
    this.all = all;
    this.folder = folder;
  }

  async start(number: number, more: Partial<NodeSetup> = {}): Promise<TestNode> {
    const folder = join(this.folder, `node${number}`);
    await mkdir(folder, { recursive: true });
    const store = this.#stores.get(number) ?? createMemoryStore();
    this.#stores.set(number, store);
    const node = await startNode({ network: this.network, number, all: this.all, folder, store, ...more });
    this.nodes.set(number, node);
    return node;
  }

  at(number: number): TestNode {
    const node = this.nodes.get(number);
    if (node === undefined) throw new RangeError('the node does not run');
    return node;
  }

  async stop(number: number): Promise<void> {
    await this.at(number).stop();
    this.nodes.delete(number);
  }

  /** Pays bob a grain, by way of a node. */
  pay(by: number, signal: AbortSignal = AbortSignal.timeout(60_000)): Promise<unknown> {
    return this.at(by).ledger.submit(this.transfer(), { signal });
  }

  transfer(): Signed {
    const action: Action = { type: 'transfer', to: bob.publicKey, amount: 1n, memo: undefined };
    return this.sign(alice, action);
  }

  sign(who: Signer, action: Action): Signed {
    return signAction(this.at([...this.nodes.keys()][0] ?? 0).ledger.network, who, this.#nonce++, action);
  }

  /** Resolves once all that run have the same head, at `height` or above. */
  async level(height: number): Promise<void> {
    const heads = (): readonly string[] =>
      [...this.nodes.values()].map(({ ledger }) => {
        const { height, headerHash, stateRoot } = ledger.head();
        return `${height} ${Buffer.from(headerHash).toString('hex')} ${Buffer.from(stateRoot).toString('hex')}`;
      });
    await until(
      () =>
        new Set(heads()).size === 1 &&
        [...this.nodes.values()].every(({ ledger }) => ledger.head().height >= height),
    );
  }
}

let net: Net | undefined;
let remove: (() => Promise<void>) | undefined;
afterEach(async () => {
  await Promise.all([...(net?.nodes.values() ?? [])].map((node) => node.stop()));
  await remove?.();
  net = undefined;
});

async function four(options?: Partial<CometLedgerOptions>, extra = 0): Promise<Net> {
  const folder = await testFolder();
  remove = folder.remove;
  const made = new Net(testNetwork(4), await places(4 + extra), folder.path);
  net = made;
  for (let i = 0; i < 4; i++) await made.start(i, options === undefined ? {} : { options });
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
