import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { Net } from './net.ts';
import { places, program, testFolder, testNetwork } from './support.ts';

let net: Net | undefined;
let remove: (() => Promise<void>) | undefined;
afterEach(async () => {
  await Promise.all([...(net?.nodes.values() ?? [])].map((node) => node.stop()));
  await remove?.();
  net = undefined;
});

/** The program, which ends at its own point `index` in its first run (`FAIL_TEST_INDEX`), and never again. */
async function failing(folder: string, index: number): Promise<string> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, 'failing');
  const lines = [
    '#!/bin/sh',
    `if [ ! -e "${path}.ran" ]; then : > "${path}.ran"; export FAIL_TEST_INDEX=${index}; fi`,
    `exec "${program}" "$@"`,
  ];
  await writeFile(path, `${lines.join('\n')}\n`);
  await chmod(path, 0o700);
  return path;
}

// Its points lie before and after each write of a block: its own log, store, state, and the application's commit.
test.each([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])(
  'ENG-10: CometBFT ends at its point %i of a block and goes on with the same one',
  async (index) => {
    const folder = await testFolder();
    remove = folder.remove;
    net = new Net(testNetwork(1), await places(1), folder.path);
    const node = await net.start(0, { program: await failing(folder.path, index) });
    await net.pay(0);
    await net.pay(0);
    await net.level(2);
    expect(node.comet.starts()).toBe(2);
    expect(node.ledger.head().height).toBe(2);
    expect(await node.ledger.verify()).toMatchObject({ faults: [], transactions: 2 });
  },
);
