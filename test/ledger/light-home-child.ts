/** A light home of its own process that sends transfers without end, until somebody kills it. */
import { systemClock } from '../../src/base/clock.ts';
import { openLevelStore } from '../../src/base/level-store.ts';
import { silentLog } from '../../src/base/log.ts';
import { createFleet } from '../mesh/support.ts';
import { openLightHome } from './light-home.ts';
import { bob } from './support.ts';

const [address = '', place = '', network = ''] = process.argv.slice(2);
const mesh = await createFleet().start({ network });
await mesh.connect(address);
const store = await openLevelStore(place);
const { client } = await openLightHome({ mesh, store, clock: systemClock, log: silentLog });
for (;;) {
  const sending = [1, 2, 3, 4].map(() =>
    client.send({ type: 'transfer', to: bob.publicKey, amount: 1n, memo: undefined }),
  );
  await Promise.all(sending);
  process.stdout.write('.\n');
}
