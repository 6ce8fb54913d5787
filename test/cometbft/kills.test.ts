import { afterEach, expect, test } from 'vitest';
import { failing } from './failing.ts';
import { Net } from './net.ts';
import { places, program, testFolder, testNetwork } from './support.ts';

let net: Net | undefined;
let remove: (() => Promise<void>) | undefined;
afterEach(async () => {
  await Promise.all([...(net?.nodes.values() ?? [])].map((node) => node.stop()));
  await remove?.();
  net = undefined;
});

// Its points lie before and after each write of a block: its own log, store, state, and the application's commit.
test.each([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])(
  'ENG-10: CometBFT ends at its point %i of a block and goes on with the same one',
  async (index) => {
    const folder = await testFolder();
    remove = folder.remove;
    net = new Net(testNetwork(1), await places(1), folder.path);
    const node = await net.start(0, { program: await failing(folder.path, program, index) });
    await net.pay(0);
    await net.pay(0);
    await net.level(2);
    expect(node.comet.starts()).toBe(2);
    expect(node.ledger.head().height).toBe(2);
    expect(await node.ledger.verify()).toMatchObject({ faults: [], transactions: 2 });
  },
);
