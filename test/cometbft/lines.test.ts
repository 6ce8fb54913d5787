/** What a line of CometBFT besides the first has to do: the handshake, finality, state sync, and coming back from kills. */
import { afterEach, describe, expect, test } from 'vitest';
import { type Opened, tellAppKill } from './app-kill-story.ts';
import { failing } from './failing.ts';
import { Net } from './net.ts';
import { joinBySnapshot } from './snapshot-join.ts';
import { places, testFolder, testNetwork } from './support.ts';

/** Programs of the other lines, as the configuration found them. */
const programs = JSON.parse(process.env.COMETBFT_ALSO ?? '[]') as readonly string[];

let opened: Opened = {};
let net: Net | undefined;
afterEach(async () => {
  await Promise.all([...(net?.nodes.values() ?? [])].map((node) => node.stop()));
  net = undefined;
  const { comet, child, remove } = opened;
  opened = {};
  await comet?.stop();
  child?.kill('SIGKILL');
  await remove?.();
});

async function prepare(count: number, validators: number): Promise<Net> {
  const folder = await testFolder();
  opened.remove = folder.remove;
  net = new Net(testNetwork(validators), await places(count), folder.path);
  return net;
}

describe.each(programs)('%s', (program) => {
  test('ENG-62: four validators agree; one is killed and comes back; a fifth node joins by state sync', async () => {
    const made = await prepare(5, 4);
    const options = { snapshotEveryBlocks: 4 };
    for (let i = 0; i < 4; i++) await made.start(i, { program, options });
    for (let i = 0; i < 7; i++) await made.pay(i % 4);
    await made.level(7);
    process.kill(made.at(3).comet.pid() ?? 0, 'SIGKILL');
    await made.stop(3);
    for (let i = 0; i < 3; i++) await made.pay(i);
    await made.start(3, { program, options });
    await made.level(10);
    await joinBySnapshot(made, 4, { program });
    await made.pay(4);
    await made.level(11);
    for (const number of [3, 4]) expect(await made.at(number).ledger.verify()).toMatchObject({ faults: [] });
  });

  test.each(['before-block', 'after-block', 'after-quiet'])(
    'ENG-62 ENG-10: the ledger is killed %s, and comes back with nothing lost or twice',
    (point) => tellAppKill(opened, program, point),
  );

  test.each([1, 4, 7])(
    'ENG-62 ENG-10: CometBFT ends at its point %i of a block and goes on',
    async (index) => {
      const made = await prepare(1, 1);
      const node = await made.start(0, { program: await failing(made.folder, program, index) });
      await made.pay(0);
      await made.pay(0);
      await made.level(2);
      expect(node.comet.starts()).toBe(2);
      expect(await node.ledger.verify()).toMatchObject({ faults: [], transactions: 2 });
    },
  );
});
