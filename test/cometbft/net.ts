/** Several nodes of one network under test. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createMemoryStore, type Store } from '../../src/base/store.ts';
import type { CometNetwork } from '../../src/ledger/engines/comet/ledger.ts';
import type { Signed } from '../../src/protocol/signing.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import type { Action } from '../../src/protocol/transaction.ts';
import { alice, bob, signAction } from '../ledger/support.ts';
import { until } from '../mesh/support.ts';
import { type NodeSetup, type Place, startNode, type TestNode } from './support.ts';

/** Several nodes that one test starts, ends and starts again. */
export class Net {
  readonly network: CometNetwork;
  readonly all: readonly Place[];
  readonly folder: string;
  readonly nodes: Map<number, TestNode> = new Map();
  readonly stores: Map<number, Store> = new Map();
  #nonce = 0;

  constructor(network: CometNetwork, all: readonly Place[], folder: string) {
    this.network = network;
    this.all = all;
    this.folder = folder;
  }

  async start(number: number, more: Partial<NodeSetup> = {}): Promise<TestNode> {
    const folder = join(this.folder, `node${number}`);
    await mkdir(folder, { recursive: true });
    const store = this.stores.get(number) ?? createMemoryStore();
    this.stores.set(number, store);
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
